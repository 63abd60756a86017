"""Keeping the node's own roles, passwords and permissions (``--keep-auth``) while everything else is restored.

The tables of ``system_auth`` are replicated like others, but Cassandra gives them the same ids everywhere, so that the
files of the node go on under the restored schema. What a node was told and has not flushed yet is in its commit log,
which a restore sets aside: hence the node must run, and is drained first.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from backupstore.core.replication import Replication, replications
from backupstore.core.schema_statements import SchemaText
from backupstore.errors import Refused
from shipper.cassandra.port import Member
from shipper.restore.places import Place
from shipper.transfer.fetch_plan import FetchPlan

AUTH = "system_auth"


def keep(own: Iterable[Place]) -> tuple[Place, ...]:
    """The places of a node, of which its roles are not moved."""
    return tuple(replace(place, keep=(AUTH,)) if place.holds_data else place for place in own)


def leave_out(wanted: FetchPlan) -> None:
    """Fetch everything but roles."""
    wanted.leave_out(frozenset((AUTH, folder.partition("-")[0]) for of, folder in wanted.tables() if of == AUTH))


def check_keep(wanted: FetchPlan, data: Iterable[Path], *, is_up: bool) -> None:
    """Refused when the node's own roles could not be kept."""
    if not is_up:
        raise Refused(
            "Cassandra is down: roles and passwords that are only in its commit log would be lost, so that --keep-auth"
            " could not keep them.",
            hint="Start it first; or restore the roles of the backup, too: --overwrite-auth.",
            operation="restore",
        )
    here = _folders((AUTH, path.name) for directory in data for path in directory.glob(f"{AUTH}/*-*"))
    strange = [name for name, folders in _folders(wanted.tables()).items() if name in here and not folders & here[name]]
    if strange:
        raise Refused(
            f"{AUTH}.{strange[0]} has another id in the backup than on this node: the restored schema would not find the"
            " node's own roles.",
            hint="Restore the roles of the backup, too: --overwrite-auth.",
            operation="restore",
        )


def check_everywhere(export: str, members: Iterable[Member]) -> None:
    """Refused unless every node of the ring holds all roles: with other tokens it would look for its own elsewhere."""
    nodes = Counter(member.dc for member in members)
    replication = replications(export).get(AUTH, Replication(""))
    factors, at_all = dict(replication.options), _factor(dict(replication.options).get("replication_factor", ""))
    match replication.strategy:
        case "NetworkTopologyStrategy":
            holds_all = all(_factor(factors.get(dc, "")) >= count or at_all >= count for dc, count in nodes.items())
        case "SimpleStrategy":
            holds_all = at_all >= nodes.total()
        case _:
            holds_all = replication.strategy == "EverywhereStrategy"
    if not holds_all:
        raise Refused(
            f"Not every node holds all of {AUTH}: a node that takes over other tokens would look for its roles on"
            " others, so that --keep-auth could not keep them.",
            hint=f"Restore the roles of the backup, too: --overwrite-auth. Or let all {nodes.total()} nodes hold them first: ALTER"
            f" KEYSPACE {AUTH}, and nodetool repair --full {AUTH} on each.",
            operation="restore",
        )


def _factor(text: str) -> int:
    return int(text) if re.fullmatch("[0-9]{1,6}", text) else 0


def _folders(pairs: Iterable[tuple[str, str]]) -> Mapping[str, set[str]]:
    """Table name → its folders."""
    found: dict[str, set[str]] = {}
    for keyspace, folder in pairs:
        if keyspace == AUTH:
            found.setdefault(folder.partition("-")[0], set()).add(folder)
    return found


def is_replicated_otherwise(backup: SchemaText, now: SchemaText) -> bool:
    """Whether ``system_auth`` will have other replicas than it has now; also where one of the two does not say."""
    then = backup.keyspaces.get(AUTH)
    return then is None or then != now.keyspaces.get(AUTH)


def told(*, kept: bool, others: int, replicated_otherwise: bool) -> tuple[str, ...]:
    """What keeping or overwriting the roles means, for people. ``others``: of the ring, that are not restored too."""
    if not kept:
        alone = "; until a repair of system_auth, this node and its replicas may answer logins differently"
        return (f"roles, passwords and permissions become those of the backup{alone if others else ''}",)
    lines = [
        "roles, passwords and permissions stay as they are; permissions on tables that come back must be granted anew"
    ]
    if replicated_otherwise:
        lines.append(
            "how many replicas system_auth has is part of the schema and becomes what it was: run nodetool repair"
            " system_auth on each node afterwards"
        )
    return tuple(lines)
