"""What a restore would do, and why it may not: decided from values, before anything is fetched or touched.

Real nodes taught these rules: a single node of a ring that is restored with an old schema pulls the newer one from its
peers and loses dropped tables again; rows of a table that was truncated meanwhile spread back to all replicas by read
repair; data of another host id is another node's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from backupstore.core.names import SYSTEM_KEYSPACES, split_table
from backupstore.core.schema_changes import changes, gc_grace, table_ids
from backupstore.core.shown import some_of
from backupstore.errors import Corrupt, Refused
from shipper.cassandra.port import Identity
from shipper.restore.port import Witness

_SHOWN = 12
_SNAPSHOT_SECONDS = 30.0
"""A backup's time is that of its first write, by the store's clock; its snapshot was taken a little before."""
_TOGETHER = "Restore all replicas together, or repair before reading."
_RELEASE = re.compile(r"([0-9]{1,4})\.([0-9]{1,4})")


@dataclass(frozen=True, slots=True)
class Backup:
    """The backup as its meta files tell. ``host_id`` is None for stock's; ``described`` where there is a describe.cql.

    ``dc``: its datacenter. ``ring_size``: how many nodes it knew of, at least. ``tables``: id → name of every table in its manifest.
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
    dc: str = ""


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
    if live is None:
        return (
            f"Cassandra does not answer, so its version was not compared with the backup's, {backup.release_version}."
        )
    return check_release(backup.release_version, live.release_version, "this node")


def check_release(theirs: str, ours: str, who: str) -> str | None:
    """The same of two versions. ``who`` runs ours, in a word or two."""
    if _release(ours) < _release(theirs):
        raise Refused(
            f"The backup is of Cassandra {theirs}, and {who} runs {ours}, which cannot read its files.",
            hint=f"Install Cassandra {theirs} or newer first.",
            operation="restore",
        )
    if _release(ours) > _release(theirs) > ():
        return (
            f"The backup is of Cassandra {theirs} and {who} runs {ours}: it takes the files over as in an upgrade. Run"
            " nodetool upgradesstables afterwards."
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
    truncated = truncated_since(backup, witness.truncated)
    lines += [f"TABLE {name} was truncated" for at, name in _users_tables(backup).items() if at in truncated]
    own = [member for member in witness.members if member.host_id == backup.host_id]
    if backup.host_id and not own:
        lines.append(f"NODE {backup.host_id} is no longer a member: it was removed or replaced")
    if own and backup.tokens and frozenset(own[0].tokens) != backup.tokens:
        lines.append(f"NODE {backup.host_id} has other tokens now")
    return tuple(sorted(lines))


def _schema_changes(backup: Backup, witness: Witness, live: Mapping[str, str]) -> tuple[str, ...]:
    if backup.described is not None:
        return changes(backup.described, witness.described)
    # Stock's backups have the driver's text only, in which a table that was dropped and made anew looks the same.
    same_text = changes(backup.schema, witness.export)
    gone = [name for table_id, name in _users_tables(backup).items() if table_id not in live]
    return (
        *same_text,
        *(f"TABLE {name} was made anew" for name in gone if f"TABLE {name} was dropped" not in same_text),
    )


def truncated_since(backup: Backup, truncated: Mapping[str, float]) -> frozenset[str]:
    """Table ids, 32 hex digits, of what was truncated after the backup. ``truncated``: as a witness has it."""
    since = backup.started - _SNAPSHOT_SECONDS
    return frozenset(table_id.replace("-", "").lower() for table_id, at in truncated.items() if at > since)


def _users_tables(backup: Backup) -> dict[str, str]:
    return {table_id: name for table_id, name in backup.tables.items() if split_table(name)[0] not in SYSTEM_KEYSPACES}


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


def check_part(changed: tuple[str, ...], witness: Witness | None, *, alone: bool) -> None:
    """Refused when one node of several would bring back what the whole ring has given up, unless told to."""
    if changed and witness is not None and len(witness.members) > 1 and not alone:
        raise Refused(
            f"The ring has moved on:\n{listed(changed)}\n  Rows of a single node restored now would spread to its"
            " replicas as they are read, and those of the other nodes would be missing.",
            hint="Restore these tables on the whole cluster together (restore-cluster); or take this node alone with"
            " --ignore-ring-changes.",
            operation="restore",
        )


def gc_grace_warning(backup: Backup, now: float, only: frozenset[str] | None = None) -> str | None:
    """Deleted rows come back when data older than gc_grace meets replicas that have dropped the tombstones.

    ``only``: the names of tables that are restored, None for all.
    """
    age = now - backup.started
    try:
        graces = gc_grace(backup.described or backup.schema)
    except Corrupt as error:
        return f"Nobody can tell whether the backup is older than gc_grace_seconds: {error.message} {_TOGETHER}"
    meant = {name: grace for name, grace in graces.items() if only is None or name in only}
    late = tuple(sorted(name for name, grace in meant.items() if 0 < grace < age))
    if not late:
        return None
    named = some_of(late, _SHOWN)
    return (
        f"The backup is {age / 86400:.1f} days old, more than gc_grace_seconds of {named}:"
        f" rows deleted since then may come back from it. {_TOGETHER}"
    )
