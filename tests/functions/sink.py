"""Takes the webhooks that a gateway sends, and keeps them."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_PATIENCE = 30.0


class Sink(ThreadingHTTPServer):
    """``url`` is where to send."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Request)
        self.records: list[dict[str, Any]] = []
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"

    def of(self, prefix: str, *, created: Iterable[str], removed: Iterable[str]) -> list[dict[str, Any]]:
        """The records whose keys hold this prefix, in the order in which they came, as soon as those of these keys did."""
        wanted = {*((key, False) for key in created), *((key, True) for key in removed)}
        end = time.monotonic() + _PATIENCE
        while True:
            with self.lock:
                found = [record for record in self.records if f"{prefix}/" in _key(record)]
            missing = wanted - {(_key(record), "Removed" in record["eventName"]) for record in found}
            if not missing:
                return found
            assert time.monotonic() < end, f"no event of {sorted(missing)}"
            time.sleep(0.05)


class _Request(BaseHTTPRequestHandler):
    server: Sink

    def do_POST(self) -> None:
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            self.server.records += message.get("Records", [])
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- http.server's name
        """Nobody reads it."""


@contextmanager
def sink() -> Iterator[Sink]:
    """A sink that listens until the block ends."""
    server = Sink()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def _key(record: dict[str, Any]) -> str:
    return str(record["s3"]["object"]["key"])
