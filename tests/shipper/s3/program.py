"""The program on a bucket of a real S3 server: its settings, its runs, and how to end one of them for real."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from tests.harness.s3_servers import REGION, S3Server
from tests.recorded import NAME
from tests.shipper.cli.program import Done

ROOT = Path(__file__).resolve().parents[3]
PREFIX = "prod"
_CLEAN = {name: value for name, value in os.environ.items() if not name.startswith(("MEDUSA_", "AWS_"))}
_numbers = count(1)


@dataclass(frozen=True)
class Child:
    """A run of the program."""

    process: subprocess.Popen[str]
    number: int
    out: Path
    err: Path

    def kill(self) -> None:
        """SIGKILL, and wait until it is dead: nothing of it still writes afterwards."""
        os.kill(self.number, signal.SIGKILL)

    def wait(self) -> Done:
        """How it ended, and what it said."""
        return self.wait_and_measure()[0]

    def wait_and_measure(self) -> tuple[Done, int]:
        """And how many bytes of memory it had at most."""
        assert self.process.stdout
        code, peak = map(int, self.process.stdout.readline().split())
        done = Done(code, self.out.read_text(encoding="utf-8"), self.err.read_text(encoding="utf-8"))
        return done, peak << 10


@dataclass(frozen=True)
class Starter:
    """Starts runs, one after the other, without the second that Python needs to import everything."""

    process: subprocess.Popen[str]
    folder: Path

    def start(self, node: Path, arguments: list[str], patience: float) -> Child:
        number = next(_numbers)
        out, err = self.folder / f"out-{number}", self.folder / f"err-{number}"
        order = {"arguments": arguments, "node": str(node), "out": str(out), "err": str(err), "patience": patience}
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        return Child(self.process, int(self.process.stdout.readline()), out, err)


@contextmanager
def starter(folder: Path) -> Iterator[Starter]:
    """One for many runs."""
    command = [sys.executable, "-m", "tests.shipper.s3.recorded_program"]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=_CLEAN
    ) as process:
        yield Starter(process, folder)


@dataclass(frozen=True, kw_only=True)
class OnS3:
    """A node, its state directory, and a medusa.ini for a bucket. ``port``: of a proxy in front of the server."""

    base: Path
    node: Path
    starter: Starter
    server: S3Server
    bucket: str
    port: int = 0
    access: str = ""
    secret: str = ""
    region: str = REGION
    storage: dict[str, str] = field(default_factory=dict)
    shipper: tuple[str, ...] = ()
    patience: float = 20.0

    @property
    def state(self) -> Path:
        return self.base / "state"

    @property
    def ini(self) -> Path:
        """Written anew, as an operator would write it."""
        self.base.mkdir(parents=True, exist_ok=True)
        keys = self.base / "credentials"
        access, secret = self.access or self.server.access, self.secret or self.server.secret
        keys.write_text(f"[default]\naws_access_key_id = {access}\naws_secret_access_key = {secret}\n")
        storage = {
            "storage_provider": "s3_compatible",
            "bucket_name": self.bucket,
            "prefix": PREFIX,
            "fqdn": NAME,
            "host": self.server.host,
            "port": str(self.port or self.server.port),
            "secure": "False",
            "region": self.region,
            "key_file": str(keys),
            "s3_addressing_style": "path",
            "multi_part_upload_threshold": "5MB",
            "multipart_chunksize": "5MB",
            "transfer_max_bandwidth": "",
            **self.storage,
        }
        lines = [f"{name} = {value}" for name, value in storage.items()]
        yaml = self.base / "cassandra.yaml"
        yaml.write_text("listen_address: 127.0.0.1\n")
        path = self.base / "medusa.ini"
        path.write_text("\n".join(["[cassandra]", f"config_file = {yaml}", "[storage]", *lines, ""]))
        path.with_name("medusa-shipper.ini").write_text(
            "\n".join(("[shipper]", f"state_dir = {self.state}", *self.shipper, ""))
        )
        return path

    def start(self, *arguments: str) -> Child:
        return self.starter.start(self.node, ["--config-file", str(self.ini), *arguments], self.patience)

    def run(self, *arguments: str) -> Done:
        return self.start(*arguments).wait()
