"""The node beside us, as the rest of the program sees it: CQL, nodetool and its data directories behind one protocol.

    with LocalNode(configuration, access, nodetool, naming) as node:
        node.identity()

One CQL session is kept for as long as the block lasts; outside of one, each question opens its own. Cassandra may be
restarted meanwhile, so a kept session that fails is dropped, and the question asked once more in a new one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import TypeVar, final

from backupstore.core import names
from backupstore.errors import BackupError, NodeTrouble, Refused
from shipper.cassandra import cql, data_directories, wire
from shipper.cassandra.configuration import Configuration
from shipper.cassandra.cql import CqlAccess, Session
from shipper.cassandra.naming import Naming
from shipper.cassandra.port import Identity, Member, Schema, SnapshotCommands, TableFolder

Answer = TypeVar("Answer")

_TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,254}")
_OLDEST = 4
_ALWAYS_THERE = ("system", "local")


@final
class LocalNode:
    """``port.CassandraNode`` on a real node of Cassandra 4.0 to 5.0."""

    def __init__(
        self, configuration: Configuration, access: CqlAccess, commands: SnapshotCommands, naming: Naming
    ) -> None:
        self._configuration = configuration
        self._access = access
        self._commands = commands
        self._naming = naming
        self._stack: ExitStack | None = None
        self._kept: Session | None = None

    def __enter__(self) -> LocalNode:
        self._stack = ExitStack()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._drop()
        self._stack = None

    @property
    def data_directories(self) -> tuple[Path, ...]:
        """As cassandra.yaml names them, in its order."""
        return self._configuration.directories.data

    def is_up(self) -> bool:
        """Whether CQL answers now. Never raises."""
        try:
            tls = self._access.tls.context() if self._access.tls else None
            wire.options(self._access.address, self._access.connect_timeout, tls)
        except BackupError:
            return False
        return True

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A CQL session with this node, for what the protocol has no name for: truncations, health checks."""
        if self._stack is None:
            with cql.connect(self._access) as session:
                yield session
            return
        if self._kept is None:
            self._kept = self._stack.enter_context(cql.connect(self._access))
        try:
            yield self._kept
        except BackupError:
            self._drop()
            raise

    def identity(self) -> Identity:
        """Ask the running node who it is. Refused when it is not of a kind that we know how to back up."""
        return _supported(self._ask(Session.identity))

    def ring(self) -> tuple[Member, ...]:
        """Every node of every datacenter, this one included, sorted by name. Peers are neither up nor down."""
        name_of = self._naming.ring(self.identity().host_id)
        return self._ask(lambda session: session.ring(name_of))

    def schema(self) -> Schema:
        """The schema as it is now."""
        return self._ask(Session.schema)

    def snapshot(self, tag: str, *, keyspaces: Sequence[str] = (), tables: Sequence[str] = ()) -> None:
        """Take a snapshot, and find it on disk: Cassandra may take less than it was asked for, or do it elsewhere.

        A failure may leave a part of it behind, which ``clear_snapshot`` removes.
        """
        _check_names(tag, keyspaces, tables)
        # With a list of tables, Cassandra would add to a snapshot that is there.
        if tag in self.snapshot_tags(tag):
            raise NodeTrouble(
                f"There is a snapshot {tag} already.",
                hint=f"If no other backup runs on this node: nodetool clearsnapshot -t {tag}",
                operation="snapshot",
            )
        single = [table for table in tables if table.partition(".")[0] not in keyspaces]
        self._commands.snapshot(tag, keyspaces=keyspaces, tables=single)
        absent = self._absent(tag, keyspaces, single)
        if absent:
            self._commands.clear_snapshot(tag)
            raise NodeTrouble(
                f"Cassandra took the snapshot {tag}, but {absent} is not in it.",
                hint="Compare data_file_directories in the file that config_file in medusa.ini names with the ones that"
                " Cassandra uses (head of system.log). A keyspace without tables cannot be backed up.",
                operation="snapshot",
            )

    def snapshot_tags(self, start: str) -> tuple[str, ...]:
        """Tags on disk that begin with ``start``, sorted. Works while Cassandra is down."""
        return data_directories.snapshot_tags(self.data_directories, start)

    def clear_snapshot(self, tag: str) -> None:
        """Remove a snapshot from every table, and see that it is gone. An unknown tag is fine."""
        _check_names(tag, (), ())
        self._commands.clear_snapshot(tag)
        if tag in self.snapshot_tags(tag):
            raise NodeTrouble(
                f"Cassandra cleared the snapshot {tag}, but it is still on disk.",
                hint=f"Look for the directories named snapshots/{tag} below the data directories, and for other users'"
                " files in them; remove them by hand when no backup runs.",
                operation="snapshot",
            )

    def snapshot_tables(self, tag: str) -> tuple[TableFolder, ...]:
        """Table folders with that snapshot, sorted by keyspace, table and disk, ``system_traces`` left out."""
        return data_directories.snapshot_tables(self.data_directories, tag)

    def _ask(self, question: Callable[[Session], Answer]) -> Answer:
        is_old = self._kept is not None
        try:
            with self.session() as session:
                return question(session)
        except NodeTrouble:
            if not is_old:
                raise
        with self.session() as session:
            return question(session)

    def _absent(self, tag: str, keyspaces: Sequence[str], tables: Sequence[str]) -> str:
        """The first thing that was asked for and is not in the snapshot; empty when all is."""
        taken = {(folder.keyspace, folder.table.partition("-")[0]) for folder in self.snapshot_tables(tag)}
        if not keyspaces and not tables:
            return "" if _ALWAYS_THERE in taken else ".".join(_ALWAYS_THERE)
        lost = [table for table in tables if (*table.split(".", 1),) not in taken]
        lost += sorted(set(keyspaces) - {keyspace for keyspace, _ in taken})
        return lost[0] if lost else ""

    def _drop(self) -> None:
        self._kept = None
        if self._stack is not None:
            self._stack.close()


def _supported(identity: Identity) -> Identity:
    major = identity.release_version.partition(".")[0]
    if identity.server_type != "cassandra" or not major.isdigit() or int(major) < _OLDEST:
        raise Refused(
            f"This node runs {identity.server_type} {identity.release_version}, not Apache Cassandra 4.0 to 5.0.",
            hint="Back it up with stock cassandra-medusa; its backups can be listed, verified and purged from here.",
            operation="identity",
        )
    return identity


def _check_names(tag: str, keyspaces: Sequence[str], tables: Sequence[str]) -> None:
    """Refuse what nodetool would take for an option, or for something else than a name."""
    wrong = [] if _TAG.fullmatch(tag) else [f"snapshot tag {tag!r}"]
    wrong += [f"keyspace {name!r}" for name in keyspaces if not names.is_keyspace(name)]
    parts = {table: table.split(".") for table in tables}
    wrong += [f"table {table!r}" for table, at in parts.items() if len(at) != 2 or not all(map(names.is_keyspace, at))]  # noqa: PLR2004 - keyspace and table
    if wrong:
        raise Refused(
            f"This cannot be a name: {', '.join(wrong)}.",
            hint="Write names as they are, without quotes: --keyspace shop, --table shop.orders.",
            operation="snapshot",
        )
