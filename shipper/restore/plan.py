"""What a restore would do, and why it may not: decided from values, before anything is fetched or touched.

Real nodes taught these rules: a single node of a ring that is restored with an old schema pulls the newer one from its
peers and loses dropped tables again; rows of a table that was truncated meanwhile spread back to all replicas by read
repair; data of another host id is another node's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from backupstore.errors import Refused
from shipper.cassandra.port import Identity
from shipper.restore.port import Witness
from shipper.restore.schema_text import SYSTEM_KEYSPACES, differences, gc_grace, table_ids

_SHOWN = 12
_SNAPSHOT_SECONDS = 30.0
"""A backup's time is that of its first write, by the store's clock; its snapshot was taken a little before."""
_RELEASE = re.compile(r"([0-9]{1,4})\.([0-9]{1,4})")


@dataclass(frozen=True, slots=True)
class Backup:
    """The backup as its meta files tell. ``host_id`` is None for stock's; ``described`` where there is a describe.cql.

    ``ring_size``: how many nodes it knew of, at least. ``tables``: id → name of every table in its manifest.
    """

    name: str
    node: str
    host_id: str | None
    started: float
    release_version: str
    tokens: frozenset[int]
    ring_size: int
    schema: str
    described: str | None
    tables: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Here:
    """This machine: who answers on CQL, who it was at its last backup, whether its data directories hold anything.

    ``is_up``: whether Cassandra answers at all, even if it would not say who it is.
    """

    live: Identity | None
    is_up: bool
    remembered_host_id: str | None
    has_data: bool
    in_place_typed: bool

    @property
    def known_host_id(self) -> str | None:
        """Who this is, as far as that can be told: what is remembered of a wiped disk proves nothing."""
        return self.live.host_id if self.live else (self.remembered_host_id if self.has_data else None)


def check_same_node(backup: Backup, here: Here) -> None:
    """Refused unless the backup is of this very node."""
    if backup.host_id is None:
        _check_by_tokens(backup, here)
    elif here.known_host_id is None:
        _demand_in_place(backup, here)
    elif here.known_host_id != backup.host_id:
        raise Refused(
            f"{backup.name} of {backup.node} was made by the node with host id {backup.host_id};"
            f" this one is {here.known_host_id}.",
            hint="Restore it on its own node. If this machine is to replace that one: stop Cassandra, empty its data"
            " directories, and type --in-place.",
            operation="restore",
        )


def _check_by_tokens(backup: Backup, here: Here) -> None:
    if here.live is None:
        _demand_in_place(backup, here)
    elif backup.tokens != frozenset(here.live.tokens):
        why = "holds other tokens than this node owns" if backup.tokens else "does not say which tokens it holds"
        raise Refused(
            f"{backup.name} of {backup.node} {why}: nothing shows that it is this node's backup.",
            hint="Restore it on its own node. If this is the one: stop Cassandra and type --in-place.",
            operation="restore",
        )


def _demand_in_place(backup: Backup, here: Here) -> None:
    if not here.in_place_typed:
        raise Refused(
            f"Nothing here tells whether this is the node that made {backup.name}: Cassandra does not answer, and there"
            " is no data, or no memory of who this was.",
            hint=f"If this machine is, or shall become, {backup.node} (host id {backup.host_id or 'unknown'}), say so"
            " with --in-place.",
            operation="restore",
        )


def twins(backup: Backup, here: Here, witness: Witness | None) -> tuple[str, ...]:
    """Where the ring knows a node with the backup's host id. If one of them is up, this machine must not become it."""
    if here.live is not None or witness is None:
        return ()
    return tuple(
        member.address
        for member in witness.members
        if (member.host_id == backup.host_id if backup.host_id else frozenset(member.tokens) == backup.tokens)
    )


def twin_is_up(backup: Backup, address: str) -> Refused:
    """The refusal."""
    who = f"host id {backup.host_id}" if backup.host_id else "the tokens of this backup"
    return Refused(
        f"The node with {who} is up at {address}: there must not be two of it.",
        hint="Stop that one first, or restore there.",
        operation="restore",
    )


def check_version(backup: Backup, live: Identity | None) -> str | None:
    """Refused when the node is older than the backup's files; a warning when it differs or cannot be told."""
    theirs = _release(backup.release_version)
    if live is None:
        return (
            f"Cassandra does not answer, so its version was not compared with the backup's, {backup.release_version}."
        )
    ours = _release(live.release_version)
    if ours < theirs:
        raise Refused(
            f"The backup is of Cassandra {backup.release_version}, and this node runs {live.release_version}, which"
            " cannot read its files.",
            hint=f"Install Cassandra {backup.release_version} or newer first.",
            operation="restore",
        )
    if ours > theirs > ():
        return (
            f"The backup is of Cassandra {backup.release_version} and this node runs {live.release_version}: it takes"
            " the files over as in an upgrade. Run nodetool upgradesstables afterwards."
        )
    return None


def _release(version: str) -> tuple[int, ...]:
    """Major and minor; empty where it cannot be told, which is older than anything."""
    match = _RELEASE.match(version)
    return (int(match[1]), int(match[2])) if match else ()


def ring_changes(backup: Backup, witness: Witness) -> tuple[str, ...]:
    """How a ring of several nodes has moved on since the backup, one line each."""
    if len(witness.members) <= 1:
        return ()
    live = table_ids(witness.described)
    lines = list(_schema_changes(backup, witness, live))
    for table_id, at in witness.truncated.items():
        name = _users_tables(backup).get(table_id.replace("-", "").lower())
        if name and at > backup.started - _SNAPSHOT_SECONDS:
            lines.append(f"TABLE {name} was truncated")
    own = [member for member in witness.members if member.host_id == backup.host_id]
    if backup.host_id and not own:
        lines.append(f"NODE {backup.host_id} is no longer a member: it was removed or replaced")
    if own and backup.tokens and frozenset(own[0].tokens) != backup.tokens:
        lines.append(f"NODE {backup.host_id} has other tokens now")
    return tuple(sorted(lines))


def _schema_changes(backup: Backup, witness: Witness, live: Mapping[str, str]) -> tuple[str, ...]:
    if backup.described is not None:
        return differences(backup.described, witness.described)
    # Stock's backups have the driver's text only, in which a table that was dropped and made anew looks the same.
    same_text = differences(backup.schema, witness.export)
    gone = [name for table_id, name in _users_tables(backup).items() if table_id not in live]
    return (
        *same_text,
        *(f"TABLE {name} was made anew" for name in gone if f"TABLE {name} was dropped" not in same_text),
    )


def _users_tables(backup: Backup) -> dict[str, str]:
    return {
        table_id: name for table_id, name in backup.tables.items() if name.partition(".")[0] not in SYSTEM_KEYSPACES
    }


def check_ring(backup: Backup, witness: Witness | None, *, alone: bool) -> tuple[str, ...]:
    """Refused when the ring has moved on, unless told to go on alone. Returns warnings."""
    if witness is None:
        if backup.ring_size <= 1:
            return ()
        unchecked = "so it was not checked whether its schema has moved on since the backup"
        return (f"None of the ring's {backup.ring_size} nodes answered, {unchecked}.",)
    changes = ring_changes(backup, witness)
    if not changes:
        return ()
    told = f"The ring has moved on since {backup.name}:\n{listed(changes)}"
    if not alone:
        raise Refused(
            f"{told}\n  A single node restored now would pull the newer schema from its peers, and rows that were"
            " deleted by dropping or truncating would come back or vanish again.",
            hint="Restore the whole cluster together, all nodes down; or take this node alone with"
            " --ignore-ring-changes.",
            operation="restore",
        )
    return (told,)


def listed(lines: tuple[str, ...]) -> str:
    """The first ones, each on a line of its own."""
    more = (f"and {len(lines) - _SHOWN} more",) if len(lines) > _SHOWN else ()
    return "\n".join(f"    {line}" for line in (*lines[:_SHOWN], *more))


def newer_tables_warning(newer: tuple[str, ...]) -> str | None:
    """What will be gone after the commit although nobody named it."""
    if not newer:
        return None
    return f"These tables are not in the backup. They are set aside now and gone after the restore:\n{listed(newer)}"


def gc_grace_warning(backup: Backup, now: float) -> str | None:
    """Deleted rows come back when data older than gc_grace meets replicas that have dropped the tombstones."""
    age = now - backup.started
    graces = gc_grace(backup.described or backup.schema)
    late = tuple(sorted(name for name, grace in graces.items() if 0 < grace < age))
    if not late:
        return None
    named = ", ".join(late[:_SHOWN]) + (f" and {len(late) - _SHOWN} more" if len(late) > _SHOWN else "")
    return (
        f"The backup is {age / 86400:.1f} days old, more than gc_grace_seconds of {named}:"
        " rows deleted since then may come back from it. Restore all replicas together, or repair before reading."
    )
