"""The program as a user runs it: a process with a medusa.ini, of which everything printed is kept."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from backupstore.core.layout import Layout
from backupstore.stores.local import LocalStore
from tests.harness.leash import leashed
from tests.shipper.cli.handmade import Maker

BUCKET = "bucket"
_CLEAN = {name: value for name, value in os.environ.items() if not name.startswith("MEDUSA_")}


@dataclass(frozen=True)
class Done:
    """How a run ended, and what it said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:  # noqa: ANN401 - any document
        return json.loads(self.out)

    @property
    def logged(self) -> list[dict[str, Any]]:
        """What it said on stderr, where that is JSON."""
        return [json.loads(line) for line in self.err.splitlines()]


@dataclass(frozen=True)
class Program:
    """Everything in one directory; ``storage`` and ``shipper`` are further lines of these sections."""

    directory: Path
    storage: tuple[str, ...] = ()
    shipper: tuple[str, ...] = ()
    cassandra: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def bucket(self) -> Path:
        return self.directory / BUCKET

    @property
    def store(self) -> LocalStore:
        return LocalStore(self.bucket)

    def maker(self, prefix: str = "") -> Maker:
        return Maker(self.store, Layout(prefix))

    @property
    def ini(self) -> Path:
        path = self.directory / "medusa.ini"
        storage = ("storage_provider = local", f"base_path = {self.directory}", f"bucket_name = {BUCKET}", "fqdn = n1")
        ours = (f"state_dir = {self.directory / 'state'}", *self.shipper)
        path.write_text("\n".join(("[storage]", *storage, *self.storage, "[cassandra]", *self.cassandra, "")))
        (self.directory / "medusa-shipper.ini").write_text("\n".join(("[shipper]", *ours, "")))
        return path

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "shipper", "--config-file", str(self.ini), *arguments]

    def run(self, *arguments: str) -> Done:
        return run(self.command(*arguments), self.environment)

    @contextmanager
    def running(self, *arguments: str) -> Iterator[Running]:
        """In the background, killed at the end if need be."""
        log = self.directory / f"{arguments[0]}-{time.monotonic_ns()}.log"
        with log.open("wb") as err:
            process = subprocess.Popen(
                leashed(self.command(*arguments)), stderr=err, stdout=err, env={**_CLEAN, **self.environment}
            )
            try:
                yield Running(process, log)
            finally:
                process.kill()
                process.wait()


@dataclass(frozen=True)
class Running:
    """A process in the background, and what it has said so far."""

    process: subprocess.Popen[bytes]
    log: Path

    def said(self, text: str) -> bool:
        return text in self.log.read_text(encoding="utf-8")

    def until_said(self, text: str, seconds: float = 30) -> None:
        until(lambda: self.said(text) or self.process.poll() is not None, seconds, self.log.read_text)
        assert self.said(text), self.log.read_text()


def run(command: list[str], environment: Mapping[str, str] | None = None, out: IO[Any] | None = None) -> Done:
    done = subprocess.run(
        command,
        stdout=out or subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        check=False,
        stdin=subprocess.DEVNULL,
        env={**_CLEAN, **(environment or {})},
    )
    return Done(done.returncode, done.stdout or "", done.stderr)


def until(true: Callable[[], bool], seconds: float = 30, why: Callable[[], str] = str) -> None:
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"not within {seconds} seconds: {why()}"
        time.sleep(0.02)


def tree(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Every file below a folder with its content and the time of its last change; folders too."""
    found = {}
    for path in sorted(folder.rglob("*")):
        body = path.read_bytes() if path.is_file() else b""
        found[path.relative_to(folder).as_posix()] = (body, path.stat().st_mtime_ns)
    return found
