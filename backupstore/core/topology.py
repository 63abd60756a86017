"""Who restores what: the ring that was backed up beside the ring that is there now.

    in place        the same nodes, known by their host ids, else by name and tokens: each gets all of its own back
    remote          other nodes, as many in each datacenter with as many tokens, in racks of the same shape: each gets
                    one node's files and its tokens, under its own address and a new host id
    sstableloader   anything else: node backups are dealt out, and their rows are sent to whoever they belong to

The first that is possible is taken, and ``why`` says of the others why not. Only the last one works for every ring, so
nothing but a ring without nodes, or a wish that contradicts itself, is ever refused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from backupstore.core.dealing import deal
from backupstore.core.host_list import HostLine
from backupstore.core.pairing import DifferentError, Seat, pair
from backupstore.core.shown import some_of
from backupstore.errors import Refused

Way = Literal["in place", "remote", "sstableloader"]
LEFT_OUT = ""
"""What a datacenter becomes that the target has nothing for."""


@dataclass(frozen=True, slots=True)
class Ring:
    """The nodes of all datacenters. ``cluster`` is Cassandra's name of it, empty where nobody knows."""

    seats: tuple[Seat, ...]
    cluster: str = ""

    @property
    def names(self) -> frozenset[str]:
        """What the nodes are called in the bucket."""
        return frozenset(seat.name for seat in self.seats)

    @property
    def datacenters(self) -> frozenset[str]:
        """Where they stand."""
        return frozenset(seat.dc for seat in self.seats)


@dataclass(frozen=True, slots=True)
class Choice:
    """What the operator wishes. ``datacenters``: the backup's name of one → the target's."""

    ignore_racks: bool = False
    use_sstableloader: bool = False
    datacenters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Match:
    """Who restores what. ``sources``: every target → the node backups it gets, in the order of their names.

    ``why``: what stands against better ways, a sentence each. ``datacenters``: the backup's name → the target's, or
    ``LEFT_OUT``.
    """

    way: Way
    sources: Mapping[str, tuple[str, ...]]
    why: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    datacenters: Mapping[str, str] = field(default_factory=dict)


def match(backup: Ring, target: Ring, sizes: Mapping[str, int], choice: Choice) -> Match:
    """Decide. ``sizes``: the node backups that are there → bytes. Refused, naming nodes; the same for any order."""
    _check(backup, target, sizes)
    datacenters = _datacenters(backup.datacenters, target.datacenters, choice.datacenters)
    said = tuple(_about_datacenters(datacenters, target.datacenters))
    try:
        _check_wishes(backup, sizes, choice)
        same = _same_nodes(backup, target)
        if same is not None:
            return Match("in place", _each_one(same), datacenters=datacenters)
        pairs = _pairs(backup, target, datacenters, ignore_racks=choice.ignore_racks)
    except DifferentError as error:
        why = str(error)
        return Match("sstableloader", deal(sizes, target.names), (why,), said, datacenters)
    racks = (_RACKS_IGNORED,) if choice.ignore_racks else ()
    return Match("remote", _each_one(pairs), warnings=racks, datacenters=datacenters)


_RACKS_IGNORED = (
    "Racks are ignored: replicas may lie where Cassandra does not look for them. Run 'nodetool repair --full' on all"
    " nodes afterwards, before anything reads with less than ALL."
)


def match_listed(lines: Iterable[HostLine], known: frozenset[str], sizes: Mapping[str, int], choice: Choice) -> Match:
    """What a host list says. ``known``: all nodes of the backup. Refused when the list leaves one out, or knows more."""
    every = tuple(lines)
    sources: dict[str, list[str]] = {}
    for line in every:
        sources.setdefault(line.target, []).append(line.source)
    _check_listed(every, known, sizes)
    given = {target: tuple(sorted(of)) for target, of in sorted(sources.items())}
    several = sorted(target for target, of in given.items() if len(of) > 1)
    if choice.use_sstableloader or several or known - sizes.keys():
        why = _ASKED if choice.use_sstableloader else _lacking(known - sizes.keys())
        why = f"{some_of(sorted(several))} takes the place of several nodes" if several else why
        return Match("sstableloader", given, (why,), datacenters=dict(choice.datacenters))
    in_place = all(of == (target,) for target, of in given.items())
    return Match("in place" if in_place else "remote", given, warnings=(_LISTED,))


_LISTED = (
    "Racks and tokens of the targets are not known here: nodes are paired as the list says. Where nodes of one rack take the"
    " places of nodes of several, or of several those of one, replicas lie where Cassandra does not look for them."
)
_ASKED = "it was asked for"


def _check(backup: Ring, target: Ring, sizes: Mapping[str, int]) -> None:
    for ring, which in ((backup, "backup"), (target, "target")):
        twice = sorted(name for name, times in Counter(seat.name for seat in ring.seats).items() if times > 1)
        if twice:
            raise _refused(
                f"Two nodes of the {which} are called {some_of(sorted(twice))}.", "Give each node a name of its own."
            )
    if not sizes or not target.seats:
        empty = "There is no node backup to restore." if not sizes else "The target has no nodes."
        raise _refused(empty, "list-backups --show-all shows what there is; 'nodetool status' shows the target.")


def _check_wishes(backup: Ring, sizes: Mapping[str, int], choice: Choice) -> None:
    if choice.use_sstableloader:
        raise DifferentError(_ASKED)
    if backup.names - sizes.keys():
        raise DifferentError(_lacking(backup.names - sizes.keys()))
    if sizes.keys() - backup.names:
        raise DifferentError(f"{some_of(sorted(sizes.keys() - backup.names))} stood in no ring of the backup")


def _lacking(names: Iterable[str]) -> str:
    return f"there is no finished backup of {some_of(sorted(names))}, whose place nobody could take"


def _check_listed(lines: tuple[HostLine, ...], known: frozenset[str], sizes: Mapping[str, int]) -> None:
    listed = {line.source: line for line in lines}
    strange = [f"line {listed[name].number}: {name}" for name in listed if name not in sizes]
    if strange:
        raise _refused(
            f"The host list names sources that have no finished backup: {'; '.join(strange)}.",
            "Sources are called as 'status' and 'fetch-tokenmap' call them.",
        )
    forgotten = sizes.keys() - listed.keys()
    if forgotten:
        raise _refused(
            f"The host list leaves {some_of(sorted(forgotten))} out, {len(forgotten)} of {len(known)} nodes of the backup:"
            " what only they hold would be lost.",
            "Give each of them a target; one target may take several, by sstableloader.",
        )


def _same_nodes(backup: Ring, target: Ring) -> dict[str, str] | None:
    """Target → source where both rings are the same nodes in the same places; None where they are not."""
    if backup.cluster and target.cluster and backup.cluster != target.cluster:
        return None
    before, now = (
        {_who(seat, target): seat for seat in backup.seats},
        {_who(seat, backup): seat for seat in target.seats},
    )
    if before.keys() != now.keys() or len(before) != len(backup.seats) or len(now) != len(target.seats):
        return None
    if any(_place(before[who]) != _place(now[who]) for who in before):
        return None
    return {now[who].name: before[who].name for who in before}


def _who(seat: Seat, other: Ring) -> object:
    """A host id proves it; where one of the rings knows none, name and tokens together do."""
    known = seat.host_id and all(each.host_id for each in other.seats)
    return seat.host_id if known else (seat.name, seat.tokens)


def _place(seat: Seat) -> tuple[str, str, int]:
    """What Cassandra refuses to start for when it has changed."""
    return seat.dc, seat.rack, len(seat.tokens)


def _pairs(backup: Ring, target: Ring, datacenters: Mapping[str, str], *, ignore_racks: bool) -> dict[str, str]:
    for ring, which in ((backup, "the backup"), (target, "the target")):
        _check_tokens(ring, which)
    for before, now in sorted(datacenters.items()):
        if before != now:
            raise DifferentError(_renamed(before, now))
    new = target.datacenters - backup.datacenters
    if new:
        raise DifferentError(f"the backup has nothing for the datacenter {some_of(sorted(new))}")
    found: dict[str, str] = {}
    for dc in sorted(backup.datacenters):
        here, there = ([seat for seat in ring.seats if seat.dc == dc] for ring in (backup, target))
        found |= pair(here, there, ignore_racks=ignore_racks)
    return found


def _renamed(before: str, now: str) -> str:
    if now == LEFT_OUT:
        return f"the target has no datacenter in place of {before or 'the nameless one'}"
    return (
        f"the datacenter {before} is called {now} on the target, where keyspaces would have no replicas (a new target"
        f" may be called {before} in cassandra-rackdc.properties before its first start)"
    )


def _check_tokens(ring: Ring, which: str) -> None:
    holders: dict[int, str] = {}
    for seat in sorted(ring.seats, key=lambda each: each.name):
        if not seat.tokens:
            raise DifferentError(f"{seat.name} has no tokens in the ring of {which}")
        for token in seat.tokens:
            other = holders.setdefault(token, seat.name)
            if other != seat.name:
                raise DifferentError(f"{other} and {seat.name} both hold the token {token} in the ring of {which}")


def _datacenters(before: frozenset[str], now: frozenset[str], given: Mapping[str, str]) -> dict[str, str]:
    """The backup's name of each datacenter → the target's. Refused where a person has to say which is which."""
    _check_given(before, now, given)
    found = dict(given)
    found |= {dc: dc for dc in before - found.keys() if dc in now and dc not in given.values()}
    lost, free = sorted(before - found.keys()), sorted(now - set(found.values()))
    if len(lost) == len(free) == 1:
        return {**found, lost[0]: free[0]}
    if lost and free:
        raise _refused(
            f"The target has no datacenter {', '.join(lost)}, and which of {', '.join(free)} takes its place nobody can"
            " tell.",
            f"Say so: --datacenter {lost[0]}={free[0]}",
        )
    return {**found, **dict.fromkeys(lost, LEFT_OUT)}


def _check_given(before: frozenset[str], now: frozenset[str], given: Mapping[str, str]) -> None:
    strange = sorted(given.keys() - before)
    unknown = sorted(set(given.values()) - now)
    taken = sorted(name for name, times in Counter(given.values()).items() if times > 1)
    if strange or unknown or taken:
        why = f"the backup has no datacenter {', '.join(strange)}" if strange else ""
        why = why or (f"the target has no datacenter {', '.join(unknown)}" if unknown else "")
        why = why or f"{', '.join(taken)} cannot take the place of two"
        names = f"the backup has {', '.join(sorted(before))}, the target {', '.join(sorted(now))}"
        raise _refused(f"The datacenters cannot be mapped so: {why}.", f"Of datacenters, {names}.")


def _about_datacenters(datacenters: Mapping[str, str], there: frozenset[str]) -> Iterable[str]:
    """What becomes of the replication of keyspaces. ``there``: the target's datacenters."""
    for before, now in sorted(datacenters.items()):
        if now == LEFT_OUT:
            yield f"Keyspaces lose their replicas in {before or 'the nameless datacenter'}, which the target does not have."
        elif before != now:
            yield f"Keyspaces with replicas in {before} get them in {now}."
    for new in sorted(there - set(datacenters.values())):
        yield f"Keyspaces that are made get no replicas in {new}, of which the backup knows nothing: alter their replication afterwards."


def _each_one(pairs: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    return {target: (source,) for target, source in sorted(pairs.items())}


def _refused(message: str, hint: str) -> Refused:
    return Refused(message, hint=hint, operation="restore-cluster")
