"""The replication of a backup's keyspace on a target whose datacenters have other names, or are fewer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from backupstore.core.replication import Replication
from backupstore.core.topology import LEFT_OUT

_BY_DATACENTER = "NetworkTopologyStrategy"
_EVERYWHERE = "replication_factor"


@dataclass(frozen=True, slots=True)
class Placement:
    """``options``: the map to write, None where the statement stays as it is. ``unknown``: datacenters nobody knows."""

    options: Mapping[str, str] | None = None
    told: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    problem: str = ""


def place_keyspace(
    name: str, replication: Replication, given: Mapping[str, str], nodes: Mapping[str, int]
) -> Placement:
    """Where the replicas go. ``given``: the backup's name of a datacenter → the target's; ``nodes``: how many it has."""
    options = dict(replication.options)
    if replication.strategy != _BY_DATACENTER:
        return Placement(
            told=_too_few(name, {"the cluster": options.get(_EVERYWHERE, "")}, {"the cluster": sum(nodes.values())})
        )
    everywhere = options.pop(_EVERYWHERE, None)
    if everywhere is not None and not options:
        return Placement(told=_too_few(name, dict.fromkeys(nodes, everywhere), nodes))
    targets = {dc: given.get(dc, dc) for dc in options}
    unknown = tuple(sorted(dc for dc, target in targets.items() if target != LEFT_OUT and target not in nodes))
    if unknown:
        return Placement(unknown=unknown)
    placed = {target: options[dc] for dc, target in targets.items() if target != LEFT_OUT}
    if len(placed) < sum(target != LEFT_OUT for target in targets.values()):
        return Placement(problem=f"two datacenters of the keyspace {name} become one")
    if not placed:
        return Placement(problem=f"none of the datacenters of the keyspace {name} is left")
    changed = {dc: target for dc, target in targets.items() if dc != target}
    told = [
        f"the keyspace {name} has no replicas in {dc}"
        if target == LEFT_OUT
        else f"the keyspace {name} has its replicas of {dc} in {target}"
        for dc, target in sorted(changed.items())
    ]
    whole = {"class": _BY_DATACENTER, **({_EVERYWHERE: everywhere} if everywhere is not None else {}), **placed}
    return Placement(whole if changed else None, (*told, *_too_few(name, placed, nodes)))


def _too_few(name: str, wanted: Mapping[str, str], nodes: Mapping[str, int]) -> tuple[str, ...]:
    """Cassandra makes such a keyspace, and then finds too few replicas to answer at QUORUM or ALL."""
    return tuple(
        f"the keyspace {name} asks for {factor} replicas in {where}, which has {nodes[where]}"
        f" {'node' if nodes[where] == 1 else 'nodes'}: alter its replication afterwards, or add nodes"
        for where, factor in wanted.items()
        if (full := factor.partition("/")[0]).isdecimal() and len(full) < 10 and int(full) > nodes[where]  # noqa: PLR2004
    )
