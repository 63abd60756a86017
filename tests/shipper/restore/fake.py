"""A Cassandra that is only directories, for restores to be tried on in their thousands.

It starts only when all of its directories are, to the last byte, as they were before the restore or as they were at a
backup: a mix is remembered and never starts. Everything that it knows lies on disk, so that another process, killed for
real, sees the same node.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

from backupstore.errors import Denied, NodeTrouble
from shipper.cassandra.port import Identity
from shipper.restore.places import WORK
from shipper.restore.port import Directories, Witness
from tests.recorded import RecordedNode

STRANGER = "00000000-0000-0000-0000-000000000000"
_BY_CASSANDRA = "-started-"


class Node(RecordedNode):
    """A recorded node that is up while its file ``running`` is there, and who it is stands in its system tables."""

    @property
    def down(self) -> bool:
        return not (self.base / "running").exists()

    @down.setter
    def down(self, value: bool) -> None:
        if value:
            (self.base / "running").unlink(missing_ok=True)

    @property
    def disks(self) -> int:
        return int(self._memory["disks"])

    def identity(self) -> Identity:
        found = super().identity()
        if (self.base / "other-password").exists() and not any((self.base / "data1/shop").glob("newer-*")):
            # Only the node as of now knows the table, and the password that is configured.
            raise Denied("Cassandra refused the login.", hint="Check cql_password.", operation="cql")
        known = any(any(disk.glob("system/local-*/*-Data.db")) for disk in self.data_directories)
        return found if known else replace(found, host_id=STRANGER)


@dataclass
class Service:
    """``restore.port.Service``. A file ``broken``: starts fail while the directories are the restored ones."""

    base: Path
    directories: Directories
    ill: bool = False
    stubborn: bool = False
    missing: tuple[str, ...] = ()

    def stop(self) -> None:
        if self.stubborn:
            raise NodeTrouble("Cassandra did not stop.", hint="It is a fake.", operation="stop")
        (self.base / "running").unlink(missing_ok=True)

    def start(self) -> None:
        if (self.base / "running").exists():
            return
        found = which(self.base, self.directories)
        if found == "mixed":
            (self.base / "was-mixed").touch()
        if found == "mixed" or (found == "new" and (self.base / "broken").exists()):
            raise NodeTrouble("Cassandra does not start.", hint="It is a fake.", operation="start")
        self._write_as_cassandra_does()
        (self.base / "running").touch()

    def _write_as_cassandra_does(self) -> None:
        run = next(number for number in count(1) if not (self.base / f"run-{number}").exists())
        (self.base / f"run-{run}").touch()
        for directory in (*self.directories.data, *self.directories.others):
            directory.mkdir(exist_ok=True)
            (directory / f"x{_BY_CASSANDRA}{run}").write_bytes(b"of this run")
            for table in directory.glob("system/local-*"):
                (table / f"nb{_BY_CASSANDRA}{run}-Data.db").write_bytes(b"of this run")

    def check(self) -> None:
        if self.ill and which(self.base, self.directories) == "new":
            raise NodeTrouble("The query gave 0 rows, not 1.", hint="It is a fake.", operation="check")

    def missing_commands(self) -> tuple[str, ...]:
        return self.missing


@dataclass
class Peers:
    """``restore.port.Peers``: who is told to be quiet stands in files."""

    base: Path
    seen: Witness | None = None
    up: frozenset[str] = frozenset()
    deaf: frozenset[str] = frozenset()

    def witness(self) -> Witness | None:
        return self.seen

    def is_up(self, address: str) -> bool:
        return address in self.up

    def hold_hints(self, address: str) -> bool:
        if address not in self.deaf:
            (self.base / f"quiet-{address}").touch()
        return address not in self.deaf

    def release_hints(self, address: str) -> bool:
        (self.base / f"quiet-{address}").unlink(missing_ok=True)
        return address not in self.deaf


def which(base: Path, directories: Directories) -> str:
    """Which state the directories are in; ``mixed`` is none that anybody expects."""
    held = tree(directories)
    states = sorted(base.glob("expected-*.json"), reverse=True)
    found = (path.stem.removeprefix("expected-") for path in states if json.loads(path.read_text()) == held)
    return next(found, "mixed")


def tree(directories: Directories) -> dict[str, str]:
    """Path → digest of everything that Cassandra would read, but for what this fake itself writes when it starts."""
    found = {}
    for directory in (*directories.data, *directories.others):
        for path in sorted(directory.rglob("*")):
            parts = path.relative_to(directory).parts
            if path.is_file() and parts[0] != WORK and "snapshots" not in parts and _BY_CASSANDRA not in path.name:
                key = "/".join((directory.name, *parts))
                found[key] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found
