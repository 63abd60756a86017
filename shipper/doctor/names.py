"""What this node is called in the bucket, and whether anybody else is called alike.

Everything hangs on names: a backup is complete when each name of the ring has one, and stock's purge deletes by what a
key begins with.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Sequence

from backupstore.core.names import neighbours, node_name_problems
from backupstore.errors import Denied
from backupstore.operations.truth import child_names
from shipper.doctor.case import MOST, Case
from shipper.doctor.findings import Report, fail, ok, unchecked, warn
from shipper.doctor.stock import stock_written
from shipper.meta import find
from shipper.ring import check_own_name

_FQDN = "Set 'fqdn' in the [storage] section of medusa.ini to the name that this node shall have in the bucket."
_EVERYWHERE = frozenset({"localhost", "localhost.localdomain"})


def look_at_own_name(case: Case) -> Iterator[Report]:
    """Whether it can stand in keys, and is this machine's alone."""
    settings = case.settings
    chosen = settings.storage.fqdn is not None or not settings.cassandra.resolve_ip_addresses
    yield from judge_own_name(case.name, case.layout.prefix, chosen=chosen)


def judge_own_name(name: str, prefix: str, *, chosen: bool) -> Iterator[Report]:
    """``chosen``: the settings want it like this; else it is what DNS says."""
    problems = node_name_problems(name, prefix)
    address = _address(name)
    if problems:
        yield fail(f"this node would be called {name} in the bucket: {'; '.join(problems)}", _FQDN)
    elif name in _EVERYWHERE or (address is not None and address.is_loopback and not chosen):
        yield fail(f"this node is called {name}, as every machine calls itself", _FQDN)
    elif address is not None and not chosen:
        yield warn(
            f"this node is called {name}, for DNS has no name for its address: once it has, the node has another name",
            f"{_FQDN} Or set resolve_ip_addresses = False on every node.",
        )
    else:
        yield ok(f"this node is called {name}")


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None


def look_at_ring(case: Case) -> Iterator[Report]:
    """Whether our name is our name in the tokenmap, and nobody else's."""
    check_own_name(case.identity, case.ring, case.name)
    mixed = [member.name for member in case.ring if _address(member.name) and not _address(case.name)]
    if mixed:
        yield warn(
            f"{', '.join(mixed)} of the ring have no name in DNS, and this node has: a backup is complete only under the"
            " names that they give themselves",
            "Give each an entry in DNS or /etc/hosts on every node, or set resolve_ip_addresses = False on every node.",
        )
    else:
        yield ok(f"the ring knows this node as {case.name}, and {len(case.ring) - 1} others by other names")


def look_at_neighbours(case: Case) -> Iterator[Report]:
    """Whether a node's name is the beginning of another one's, in the bucket."""
    try:
        folders = [name for name in child_names(case.store, case.layout.root) if name != "index"]
    except Denied:
        yield unchecked(
            "these credentials may not list other nodes", "Ask where 'serve' runs, with this node's --fqdn."
        )
        return
    near = neighbours(case.name, folders)
    yield judge_neighbours(case.name, near, beside_stock=bool(near) and bool(stock_written(case)))


def judge_neighbours(name: str, near: Iterable[str], *, beside_stock: bool) -> Report:
    """Stock's sweep of ``node1/data`` is by ``node1``, and takes that of ``node10`` too."""
    others = ", ".join(near)
    if not others:
        return ok("no other node's name in the bucket begins like this one")
    text = f"{name} and {others} begin with each other: stock's purge of the shorter one deletes data of the longer one"
    if beside_stock:
        return fail(text, "Stop stock's purge on every node. New nodes get names of one length: node01, node02.")
    return warn(text, "Never run stock's purge on this bucket. New nodes get names of one length: node01, node02.")


def look_at_identity(case: Case) -> Iterator[Report]:
    """Whether the backups under this name were made by this very node."""
    host_ids = []
    for name in case.backups[::-1][:MOST]:
        latest = find(case.store, case.layout, case.name, name).latest
        if latest is not None:
            host_ids.append(latest.host_id)
            break
    remembered = case.state.read("identity")
    if remembered.get("node") == case.name and isinstance(remembered.get("host_id"), str):
        host_ids.append(str(remembered["host_id"]))
    yield judge_identity(case.name, case.identity.host_id, host_ids)


def judge_identity(name: str, live: str, known: Sequence[str]) -> Report:
    """``known``: the host id that made the newest backup of that name, and the one that this machine remembers."""
    others = [host_id for host_id in known if host_id != live]
    if others:
        return warn(
            f"the last backup under the name {name} was made by host id {others[0]}, and this node is {live}",
            "Right after a node was replaced under its old name. If not, two machines have one name: see 'fqdn' on both.",
        )
    return ok(f"backups of {name} are of this node, host id {live}" if known else f"host id {live}, no backup yet")
