"""What a restore would do, and why it may not: decided from values, before anything is fetched or touched.

Real nodes taught these rules: a single node of a ring that is restored with an old schema pulls the newer one from its
peers and loses dropped tables again; rows of a table that was truncated meanwhile spread back to all replicas by read
repair; data of another host id is another node's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from backupstore.errors import Refused
from shipper.cassandra.port import Identity
from shipper.restore.port import Witness
from shipper.restore.schema_text import differences, gc_grace, table_ids

_SHOWN = 12


@dataclass(frozen=True, slots=True)
class Backup:
    """The backup as its meta files tell. ``host_id`` is None for stock's; ``described`` where there is a describe.cql."""

    name: str
    node: str
    host_id: str | None
    started: float
    release_version: str
    tokens: frozenset[int]
    schema: str
    described: str | None


@dataclass(frozen=True, slots=True)
class Here:
    """This machine: who answers on CQL, who it was at its last backup, whether its data directories hold anything."""

    live: Identity | None
    remembered_host_id: str | None
    has_data: bool
    in_place_typed: bool


def check_same_node(backup: Backup, here: Here) -> None:
    """Refused unless the backup is of this very node."""
    known = here.live.host_id if here.live else (here.remembered_host_id if here.has_data else None)
    if backup.host_id is None:
        _check_by_tokens(backup, here)
    elif known is None:
        _demand_in_place(backup, here)
    elif known != backup.host_id:
        raise Refused(
            f"{backup.name} of {backup.node} was made by the node with host id {backup.host_id}; this one is {known}.",
            hint="Restore it on its own node. If this machine replaces that one, empty the data directories and type --in-place.",
            operation="restore",
        )


def twins(backup: Backup, here: Here, witness: Witness | None) -> tuple[str, ...]:
    """Where else the ring knows a node with the backup's host id. If one of them is up, this machine must not become it."""
    if here.live is not None or witness is None:
        return ()
    return tuple(member.address for member in witness.members if member.host_id == backup.host_id)


def twin_is_up(backup: Backup, address: str) -> Refused:
    """The refusal."""
    return Refused(
        f"The node with host id {backup.host_id} is up at {address}: there must not be two of it.",
        hint="Stop that one first, or restore there.",
        operation="restore",
    )


def _check_by_tokens(backup: Backup, here: Here) -> None:
    if here.live is None:
        _demand_in_place(backup, here)
    elif backup.tokens != frozenset(here.live.tokens):
        raise Refused(
            f"{backup.name} of {backup.node} holds other tokens than this node owns: it is another node's backup.",
            hint="Restore it on its own node.",
            operation="restore",
        )


def _demand_in_place(backup: Backup, here: Here) -> None:
    if not here.in_place_typed:
        raise Refused(
            f"Nothing here tells whether this is the node that made {backup.name}: Cassandra is down and there is no data or memory of it.",
            hint=f"If this machine is to become {backup.node} (host id {backup.host_id or 'unknown'}), say so with --in-place.",
            operation="restore",
        )


def check_version(backup: Backup, live: Identity | None) -> str | None:
    """Refused when the node is older than the backup's files; a warning when it cannot be told."""
    if live is None:
        return f"Cassandra is down, so its version was not compared with the backup's, {backup.release_version}."
    if _release(live.release_version) < _release(backup.release_version):
        raise Refused(
            f"The backup is of Cassandra {backup.release_version}, and this node runs {live.release_version}, which cannot read its files.",
            hint=f"Install Cassandra {backup.release_version} or newer first.",
            operation="restore",
        )
    return None


def _release(version: str) -> tuple[int, ...]:
    parts = version.split("-", maxsplit=1)[0].split(".")[:2]
    return tuple(int(part) for part in parts if part.isdigit())


def ring_changes(backup: Backup, witness: Witness) -> tuple[str, ...]:
    """How a ring of several nodes has moved on since the backup, one line each."""
    if len(witness.members) <= 1:
        return ()
    if backup.described is not None:
        lines = list(differences(backup.described, witness.described))
    else:
        lines = list(differences(backup.schema, witness.export))
    ids: Mapping[str, str] = table_ids(backup.described or "")
    for table_id, at in sorted(witness.truncated.items()):
        if at > backup.started and (table_id in ids or not ids):
            lines.append(f"TABLE {ids.get(table_id, table_id)} was truncated")
    return tuple(lines)


def check_ring(backup: Backup, witness: Witness | None, *, alone: bool) -> tuple[str, ...]:
    """Refused when the ring has moved on, unless told to go on alone. Returns warnings."""
    if witness is None:
        return ("No other node answered, so it was not checked whether the ring has moved on since the backup.",)
    changes = ring_changes(backup, witness)
    if not changes:
        return ()
    shown = "\n".join(f"    {line}" for line in changes[:_SHOWN])
    more = f"\n    and {len(changes) - _SHOWN} more" if len(changes) > _SHOWN else ""
    if not alone:
        raise Refused(
            f"The ring has moved on since {backup.name}:\n{shown}{more}\n"
            "  A single node restored now would pull the newer schema from its peers, and rows that were deleted by dropping"
            " or truncating would come back or vanish again.",
            hint="Restore the whole cluster together, all nodes down; or take this node alone with --ignore-ring-changes.",
            operation="restore",
        )
    return (f"The ring has moved on since {backup.name}:\n{shown}{more}",)


def gc_grace_warning(backup: Backup, now: float) -> str | None:
    """Deleted rows come back when data older than gc_grace meets replicas that have already dropped the tombstones."""
    age = now - backup.started
    late = sorted(
        name
        for name, grace in gc_grace(backup.described or backup.schema).items()
        if 0 < grace < age and not name.startswith("system")
    )
    if not late:
        return None
    named = ", ".join(late[:_SHOWN]) + (f" and {len(late) - _SHOWN} more" if len(late) > _SHOWN else "")
    return (
        f"The backup is {age / 86400:.1f} days old, more than gc_grace_seconds of {named}:"
        " rows deleted since then may come back from it. Restore all replicas together, or repair before reading."
    )
