"""The ring as the bucket knows it: node names, and the tokenmap of the own datacenter."""

from __future__ import annotations

from collections.abc import Iterable

from backupstore.core.tokenmap import RingMember
from backupstore.errors import Refused
from shipper.cassandra.port import Identity, Member


def tokenmap_of(identity: Identity, ring: Iterable[Member]) -> dict[str, RingMember]:
    """Stock's tokenmap: the nodes of the writing node's own datacenter, by name."""
    own = (member for member in ring if member.dc == identity.dc)
    return {m.name: RingMember(tokens=m.tokens, is_up=m.is_up, rack=m.rack, dc=m.dc) for m in own}


def check_own_name(identity: Identity, ring: Iterable[Member], name: str) -> None:
    """Our name in keys must be our name in the tokenmap, and nobody else's. Refused otherwise."""
    by_host = {member.host_id: member for member in ring}
    own = by_host.get(identity.host_id)
    if own is None or own.name != name:
        known = own.name if own else "nothing"
        raise Refused(
            f"This node is called {name} in the bucket and {known} in the tokenmap:"
            " no backup of it would ever be complete.",
            hint=f"Set 'fqdn' in the [storage] section of medusa.ini to {known}, or change resolve_ip_addresses in"
            " [cassandra].",
            operation="name",
        )
    twins = [
        member.address for member in by_host.values() if member.name == name and member.host_id != identity.host_id
    ]
    if twins:
        raise Refused(
            f"The nodes at {identity.address} and {', '.join(twins)} are both called {name}:"
            " they would overwrite each other.",
            hint="Give each node a name of its own in DNS, or set resolve_ip_addresses = False.",
            operation="name",
        )
