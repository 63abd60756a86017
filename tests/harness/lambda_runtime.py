"""AWS Lambda's own runtime client, ``awslambdaric``, running a function that was deployed as a directory.

The client asks a small server for events and gives it the answers, as it does inside of Lambda
(the Runtime API of 2018-06-01). Each process is what AWS calls an execution environment.
"""

from __future__ import annotations

import json
import os
import queue
import shutil
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.harness.errors import HarnessError
from tests.harness.leash import leashed

_ROOT = Path(__file__).resolve().parents[2]
_LIMIT = 30.0
_PATIENCE = 90.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What the function gave: its result, or how it failed (``errorType``, ``errorMessage``)."""

    ok: bool
    document: Any


@dataclass(slots=True)
class _Invocation:
    body: bytes
    limit: float
    number: str = field(default_factory=lambda: str(uuid.uuid4()))
    answers: queue.Queue[Answer] = field(default_factory=queue.Queue)


class Function:
    """A deployed function."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self.processes: list[subprocess.Popen[bytes]] = []
        self.waiting: queue.Queue[_Invocation] = queue.Queue()
        self.begun: dict[str, _Invocation] = {}

    def invoke(self, event: object, *, limit: float = _LIMIT) -> Answer:
        """Let any of the processes handle an event. ``limit``: the seconds that the function is told it has."""
        invocation = _Invocation(json.dumps(event).encode(), limit)
        self.waiting.put(invocation)
        try:
            return invocation.answers.get(timeout=_PATIENCE)
        except queue.Empty:
            raise HarnessError(f"the function gave no answer; its last words:\n{self.said()[-3000:]}") from None

    def said(self) -> str:
        """All that it has logged."""
        return self.log.read_text(encoding="utf-8", errors="replace")


def bundle(folder: Path, name: str) -> Path:
    """Lay a function out as it is deployed: itself and what it shares with others, and nothing else of the project."""
    ignored = shutil.ignore_patterns("__pycache__")
    (folder / "functions").mkdir(parents=True)
    shutil.copy(_ROOT / "functions" / "__init__.py", folder / "functions")
    shutil.copytree(_ROOT / "functions" / name, folder / "functions" / name, ignore=ignored)
    shutil.copytree(_ROOT / "backupstore", folder / "backupstore", ignore=ignored)
    return folder


def environment(folder: Path, settings: Mapping[str, str]) -> dict[str, str]:
    """What a process of a function finds around it: these settings, and what Lambda says."""
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(folder),
        "LAMBDA_TASK_ROOT": str(folder),
        "AWS_REGION": "us-east-1",
        "AWS_LAMBDA_FUNCTION_NAME": folder.name,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
        **settings,
    }


@contextmanager
def deployed(folder: Path, handler: str, settings: Mapping[str, str], *, processes: int = 1) -> Iterator[Function]:
    """Run the function of this bundle until the block ends."""
    function = Function(folder.with_name(f"{folder.name}-{uuid.uuid4().hex}.log"))
    server = _RuntimeApi(function)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    known = {**environment(folder, settings), "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{server.server_port}"}
    command = leashed([sys.executable, "-m", "awslambdaric", handler])
    try:
        with function.log.open("ab") as log:
            for _ in range(processes):
                function.processes.append(subprocess.Popen(command, cwd=folder, env=known, stdout=log, stderr=log))
        yield function
    finally:
        for process in function.processes:
            process.kill()
            process.wait()
        server.shutdown()
        server.server_close()


class _RuntimeApi(ThreadingHTTPServer):
    def __init__(self, function: Function) -> None:
        self.function = function
        super().__init__(("127.0.0.1", 0), _Request)


class _Request(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # an answer in one piece: two would wait for each other
    server: _RuntimeApi

    def do_GET(self) -> None:
        """An event, as soon as there is one."""
        invocation = self.server.function.waiting.get()
        self.server.function.begun[invocation.number] = invocation
        self._answer(
            200,
            invocation.body,
            {
                "Content-Type": "application/json",
                "Lambda-Runtime-Aws-Request-Id": invocation.number,
                "Lambda-Runtime-Deadline-Ms": str(int((time.time() + invocation.limit) * 1000)),
                "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:us-east-1:123456789012:function:tested",
                "Lambda-Runtime-Trace-Id": "Root=1-0-0;Sampled=0",
            },
        )

    def do_POST(self) -> None:
        """A result, or a failure; one before the first event ends the process."""
        body = self._body()
        self._answer(202, b'{"status": "OK"}', {"Content-Type": "application/json"})
        *_, number, what = self.path.split("/")
        function = self.server.function
        answer = Answer(what == "response", json.loads(body or b"null"))
        if number == "init":
            function.waiting.get().answers.put(answer)
        else:
            function.begun.pop(number).answers.put(answer)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- http.server's name
        """Nobody reads it."""

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _answer(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
