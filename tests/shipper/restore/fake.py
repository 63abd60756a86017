"""A Cassandra that is only directories, for restores to be tried on in their thousands.

It starts only when all of its directories are, to the last byte, as they were before the restore or as they were at a
backup: a mix is remembered and never starts. Everything that it knows lies on disk, so that another process, killed for
real, sees the same node.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, replace
from itertools import count
from pathlib import Path

from backupstore.errors import Denied, NodeTrouble
from shipper.cassandra.configuration import read_configuration
from shipper.cassandra.port import Identity, Schema
from shipper.restore.places import WORK
from shipper.restore.port import Directories, Rows, Witness
from tests import sstables
from tests.recorded import Kind, RecordedNode

STRANGER = "00000000-0000-0000-0000-000000000000"
TAKEN = "tokens-taken"
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
        if knows_itself(self.data_directories):
            return found
        taken = self.base / TAKEN
        tokens = tuple(map(int, taken.read_text().split(","))) if taken.exists() else found.tokens
        return replace(found, host_id=STRANGER, tokens=tokens)

    def schema(self) -> Schema:
        """As it is now, whoever changed it."""
        self._memory = json.loads((self.base / "node.json").read_text())
        return super().schema()

    def table_ids(self) -> dict[str, str]:
        """``ks.table`` → id of all that Cassandra knows."""
        return dict(self._memory["tables"])

    def create_empty(self, name: str, statement: str) -> None:
        """A table with the id that its statement says."""
        found = re.search(r"ID = ([0-9a-f-]{36})", statement)
        assert found, statement
        assert name not in self._memory["tables"], f"{name} exists"
        self._memory["tables"][name] = found[1].replace("-", "")
        self._memory["kinds"].setdefault(name, asdict(Kind()))
        for folder in self.folders(name):
            folder.mkdir(parents=True, exist_ok=True)
        self._save()

    def forget(self, name: str) -> None:
        """Drop a table: its directories stay, empty."""
        for folder in self.folders(name):
            sstables.remove_live(folder)
        del self._memory["tables"][name]
        self._save()


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
        (self.base / TAKEN).unlink(missing_ok=True)
        if not knows_itself(self.directories.data) and (self.base / "cassandra.yaml").exists():
            configuration = read_configuration(self.base / "cassandra.yaml")
            (self.base / TAKEN).write_text(",".join(configuration.initial_tokens))
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

    def drain(self) -> None:
        """Cassandra takes no more questions; the process lives on until it is stopped."""
        if not (self.base / "running").exists():
            raise NodeTrouble("Failed to connect.", hint="It is a fake.", operation="drain")

    def query(self, statement: str, values: Sequence[object] = ()) -> Rows:
        """Which tables there are, with their ids; a row of each that has files; creating and dropping."""
        if not (self.base / "running").exists():
            raise NodeTrouble("Cassandra does not answer.", hint="It is a fake.", operation="query")
        assert not values, "no index is ever asked here"
        node = Node(self.base)
        words = statement.replace('"', "").replace(" IF EXISTS", "").split()
        if words[0] == "CREATE":
            node.create_empty(words[2], statement)
        elif words[0] == "DROP":
            node.forget(words[2])
        elif "system_schema.tables" in words:
            return tuple((*name.split("."), table_id) for name, table_id in sorted(node.table_ids().items()))
        elif "system_schema.views" not in words:
            table = words[words.index("FROM") + 1]
            return (("a row",),) if any(any(f.glob("*-Data.db")) for f in node.folders(table)) else ()
        return ()

    def asking(self) -> AbstractContextManager[object]:
        return nullcontext()

    def rebuild_index(self, keyspace: str, table: str, index: str) -> None:
        raise NodeTrouble(
            f"There is no index {index} of {keyspace}.{table}.", hint="It is a fake.", operation="rebuild_index"
        )

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


def knows_itself(data: Iterable[Path]) -> bool:
    """Whether it finds its own row in the system tables. Else it makes up who it is, and asks its yaml for tokens."""
    return any(any(disk.glob("system/local-*/*-Data.db")) for disk in data)


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
