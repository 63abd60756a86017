"""Not all nodes at once: the order in which the nodes of a ring take turns is that of their tokens.

The agent's nodes begin a fixed time after one another. ``backup --stagger`` is stock Medusa's way for a cluster's very first
backups, each of which uploads everything: a node that has none yet waits until the one before it has finished one.
"""

from __future__ import annotations

from collections.abc import Iterable

from backupstore.errors import Corrupt, Denied, Refused
from backupstore.operations.reading import read_head
from shipper.cassandra.port import Member
from shipper.meta import look, own_backups
from shipper.progress import Progress
from shipper.site import Site

_LOOK_AGAIN = 60.0


def in_turn(ring: Iterable[Member]) -> tuple[Member, ...]:
    """The nodes by the least of their tokens; those that have none come last."""
    return tuple(sorted(ring, key=lambda member: (not member.tokens, min(member.tokens, default=0), member.host_id)))


def place_of(host_id: str, ring: Iterable[Member]) -> int:
    """Whose turn it is, counted from 0; 0 also for a node that the ring does not show."""
    hosts = [member.host_id for member in in_turn(ring)]
    return hosts.index(host_id) if host_id in hosts else 0


def wait_for_turn(site: Site, seconds: float, progress: Progress) -> None:
    """Wait until the node before this one, in its datacenter, has finished a backup. Not for one that has some itself.

    Refused when that takes longer than so many seconds.
    """
    if has_finished_any(site, site.name):
        return
    identity = site.cassandra.identity()
    order = in_turn(member for member in site.cassandra.ring() if member.dc == identity.dc)
    place = place_of(identity.host_id, order)
    if place == 0:
        return
    before, end = order[place - 1].name, site.clock.running() + seconds
    while not has_finished_any(site, before):
        left = end - site.clock.running()
        if left <= 0:
            raise Refused(
                f"{before}, whose turn is before that of {site.name}, has finished no backup within {seconds:.0f} seconds.",
                hint=f"Look at the backup of {before}; or run this one with a longer --stagger, or without.",
                operation="backup",
            )
        progress.step(f"waiting for {before} to finish a backup")
        site.clock.sleep(min(_LOOK_AGAIN, left))


def has_finished_any(site: Site, node: str) -> bool:
    """Whether there is a finished backup of a node, whoever wrote it: one read of the catalog, or else a look at its folder.

    A node that may not look into another one's folder has to believe the catalog.
    """
    try:
        head = read_head(site.store, site.layout)
    except (Corrupt, Denied):
        head = None
    if head and node in head.latest:
        return True
    try:
        backups = own_backups(site.store, site.layout, node)
        return any(look(site.store, site.layout, node, backup).is_finished for backup in reversed(backups))
    except Denied:
        return False
