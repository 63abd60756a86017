"""Servers that speak as the management API for Apache Cassandra, and as Jolokia, and carry out what they are asked for."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.harness.listening import HttpHandler, listening, tls
from tests.recorded import RecordedNode

PATH = "/api/v0/ops/node/snapshots"
Reply = tuple[int, str]


@dataclass
class Api:
    """Where it listens, and what it was asked: method, path with query, and body."""

    port: int
    asked: list[tuple[str, str, Any]] = field(default_factory=list)


@contextmanager
def management_api(node: RecordedNode, folder: Path | None = None) -> Iterator[Api]:
    """The management API of that node. With a folder: mutual TLS by ``cert.pem`` and ``key.pem`` there."""

    def carry_out(method: str, target: str, body: Any) -> Reply:  # noqa: ANN401 -- any document
        parts = urlsplit(target)
        if parts.path != PATH:
            return 404, "no such resource"
        if method == "DELETE":
            for tag in parse_qs(parts.query)["snapshotNames"]:
                node.clear_snapshot(tag)
            return 200, "OK"
        keyspaces, tables = body.get("keyspaces", []), body.get("keyspace_tables", [])
        if keyspaces and tables:
            return 400, "When specifying keyspace_tables, specifying keyspaces is not allowed"
        if tables:
            for table in tables:  # which Cassandra adds to a snapshot that is there
                node._snapshot_of(table, body["snapshot_name"])
        else:
            node.snapshot(body["snapshot_name"], keyspaces=keyspaces)
        return 200, "OK"

    with _serving(carry_out, folder) as api:
        yield api


@contextmanager
def jolokia(node: RecordedNode) -> Iterator[Api]:
    """Jolokia beside that node. What fails inside is 200 by HTTP, as it is there."""

    def carry_out(_method: str, _target: str, body: Any) -> Reply:  # noqa: ANN401 -- any document
        tag, *more = body["arguments"]
        known = (body["type"], body["mbean"]) == ("exec", "org.apache.cassandra.db:type=StorageService")
        if not known or "(" not in body["operation"]:
            return 200, json.dumps({"status": 404, "error": "javax.management.InstanceNotFoundException"})
        if body["operation"].startswith("clearSnapshot("):
            node.clear_snapshot(tag)
        elif tag in node.snapshot_tags(tag):
            return 200, json.dumps({"status": 500, "error": "java.io.IOException : Snapshot already exists."})
        else:
            _, entities = more
            tables = [each for each in entities if "." in each]
            node.snapshot(tag, keyspaces=[each for each in entities if "." not in each], tables=tables)
        return 200, json.dumps({"status": 200, "value": None})

    with _serving(carry_out, None) as api:
        yield api


@contextmanager
def _serving(carry_out: Callable[[str, str, Any], Reply], folder: Path | None) -> Iterator[Api]:
    class Handler(HttpHandler):
        def answer(self) -> None:
            sent = self.rfile.read(int(self.headers.get("content-length", 0)))
            body = json.loads(sent) if sent else None
            api.asked.append((self.command, self.path, body))
            status, text = carry_out(self.command, self.path, body)
            self.send_response(status)
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        do_POST = do_DELETE = answer  # noqa: N815 -- the base's names

    with listening(Handler, tls(folder, mutual=True) if folder else None) as port:
        api = Api(port)
        yield api
