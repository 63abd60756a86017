"""The ring that a job is for: asked of one of its nodes by CQL, or taken from the newest backups in the bucket."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial

from backupstore.core.documents import ClusterBackup
from backupstore.core.pairing import Seat
from backupstore.core.topology import Ring
from backupstore.errors import BackupError, Denied, Misconfigured, NotFound, Refused
from backupstore.operations.reading import read_backup
from backupstore.operations.restore_cluster import newest_ring
from backupstore.settings import Settings
from shipper.cassandra.configuration import read_configuration
from shipper.cassandra.cql import Session, connect
from shipper.cassandra.naming import resolver
from shipper.cassandra.port import Schema
from shipper.cassandra.wire import Address
from shipper.cli.logs import log
from shipper.cli.options import Globals
from shipper.cli.reading import listing
from shipper.cli.text import local_time
from shipper.restore.plan import check_release
from shipper.wiring import NodeWiring, cql_access, naming_of, remembered_host_id

_PORT = 9042
_HERE_SECONDS = 5.0
_SEED_SETTINGS = ("seed_provider.parameters", "seed_provider")  # since 4.1, and before
_SEEDS = re.compile(r"\bseeds=([^}]*)")
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]]+)(?::([0-9]{1,5}))?|([0-9A-Fa-f:.]+)")


@dataclass(frozen=True, slots=True)
class Target:
    """Who there is now. ``known_by`` says from where, as a sentence.

    ``schema``, ``auto_snapshot`` and ``release``, its version of Cassandra, are None where nobody was asked, or would not
    say; ``unasked`` then says why.
    """

    ring: Ring
    seeds: frozenset[str]
    known_by: str
    schema: Schema | None = None
    auto_snapshot: bool | None = None
    unasked: str = ""
    release: str | None = None

    def check_release(self, releases: Iterable[str]) -> tuple[str, ...]:
        """Warnings where the node backups are of another version of Cassandra. Refused when it runs an older one."""
        told = (check_release(theirs, self.release, "the target") for theirs in releases if self.release is not None)
        return tuple(dict.fromkeys(filter(None, told)))


def find_target(chosen: Globals, seed_target: str | None) -> Target:
    """The ring that a node tells; without one, that which the newest backups show."""
    return _from_bucket(chosen) if seed_target is None else _from_node(chosen, parse_address(seed_target))


def asked_here(chosen: Globals, target: Target, names: Collection[str]) -> Target:
    """The same with its schema, where the Cassandra beside us is one of it; ``names`` are those of its nodes."""
    host_ids = {seat.host_id for seat in target.ring.seats if seat.host_id}
    try:
        access = replace(NodeWiring(chosen.settings, chosen.clock).access, connect_timeout=_HERE_SECONDS)
        with connect(access) as session:
            here = session.identity()
            host_id = here.host_id
            if host_id not in host_ids if host_ids else chosen.node_name not in names:
                return replace(target, unasked=f"the Cassandra here, host id {host_id}, is none of its nodes")
            found = replace(target, auto_snapshot=_auto_snapshot(session), release=here.release_version)
            return replace(found, schema=session.schema())
    except BackupError as error:
        return replace(target, unasked=error.message.rstrip("."))


def namer(settings: Settings) -> Callable[[str], str]:
    """From addresses, or other names, to what the nodes there are called in the bucket."""
    naming = naming_of(settings)
    return resolver(resolve=naming.resolve, lookup=naming.lookup)


def parse_address(text: str) -> Address:
    """``HOST``, ``HOST:PORT``, ``[IPv6]:PORT`` or ``IPv6``. Refused otherwise."""
    match = _HOST.fullmatch(text.strip())
    if match is None or int(match[2] or _PORT) not in range(1, 1 << 16) or not _may_be_asked_for(match[1] or match[3]):
        raise Refused(f"{text!r} is no address of a node.", hint="Give HOST, or HOST:PORT.", operation="--seed-target")
    return Address((match[1] or match[3]).strip("[]"), int(match[2] or _PORT))


def _may_be_asked_for(host: str) -> bool:
    """Whether a resolver takes it: it raises where a part of a name is empty or too long."""
    try:
        host.encode("idna")
    except UnicodeError:
        return False
    return True


def _from_bucket(chosen: Globals) -> Target:
    head, documents, _ = listing(chosen)
    seen = newest_ring(chosen.store, chosen.layout, head, _reader(chosen, documents))
    known_by = f"The target is the ring that the backup {seen.backup} shows ({local_time(seen.at)})."
    return Target(seen.ring, _seeds_of_yaml(chosen) & seen.ring.names, known_by)


def _reader(chosen: Globals, documents: Mapping[str, ClusterBackup] | None) -> Callable[[str], ClusterBackup | None]:
    return documents.get if documents is not None else partial(read_backup, chosen.store, chosen.layout)


def _seeds_of_yaml(chosen: Globals) -> frozenset[str]:
    """What this machine's cassandra.yaml calls seeds, if it has one: as it stands there, and as nodes are called."""
    try:
        seeds = read_configuration(chosen.settings.cassandra.config_file).seeds
    except (Misconfigured, Denied, NotFound) as error:
        log.debug("no seeds from cassandra.yaml: %s", error.message)
        return frozenset()
    name_of = namer(chosen.settings)
    return frozenset(seeds) | {name_of(address) for address in map(_resolved, seeds)}


def _from_node(chosen: Globals, address: Address) -> Target:
    settings = chosen.settings
    own = remembered_host_id(settings.shipper.state_dir)
    by_address = naming_of(settings).ring(own)
    known = _names_in_bucket(chosen)
    with connect(cql_access(settings, address)) as session:
        identity = session.identity()
        members = session.ring(lambda host_id, host: known.get(host_id) or by_address(host_id, host))
        names = {member.host_id: member.name for member in members}
        hosts = {member.address: member.name for member in members}
        hosts |= {address: names[host_id] for address, host_id in _broadcast(session) if host_id in names}
        seats = (Seat(m.name, m.dc, m.rack, tuple(sorted(m.tokens)), m.host_id) for m in members)
        return Target(
            ring=Ring(tuple(seats), identity.cluster),
            seeds=_seeds_of_node(session, hosts),
            known_by=f"The target is the ring of {identity.cluster}, as {names[identity.host_id]} at {address} sees it.",
            schema=session.schema(),
            auto_snapshot=_auto_snapshot(session),
            release=identity.release_version,
        )


def _names_in_bucket(chosen: Globals) -> Mapping[str, str]:
    """Host id → what the node of it calls itself: what its backups say goes before what DNS says."""
    head, documents, _ = listing(chosen)
    try:
        seen = newest_ring(chosen.store, chosen.layout, head, _reader(chosen, documents))
    except NotFound:
        return {}
    return {seat.host_id: seat.name for seat in seen.ring.seats if seat.host_id}


def _broadcast(session: Session) -> Iterable[tuple[str, str]]:
    """Addresses by which nodes know each other, and the host ids behind them: seeds are called by these."""
    for query in ("SELECT broadcast_address, host_id FROM system.local", "SELECT peer, host_id FROM system.peers_v2"):
        for address, host_id in session.query(query):
            yield str(address), str(host_id)


def _seeds_of_node(session: Session, hosts: Mapping[str, str]) -> frozenset[str]:
    """The members that its configuration calls seeds. Empty when it does not tell."""
    told = (_setting(session, name) for name in _SEED_SETTINGS)
    match = next((found for text in told if text and (found := _SEEDS.search(text))), None)
    given = [part.strip() for part in match[1].split(",")] if match else []
    return frozenset(hosts[address] for seed in given for address in (seed, _resolved(seed)) if address in hosts)


def _auto_snapshot(session: Session) -> bool | None:
    value = _setting(session, "auto_snapshot")
    return None if value is None else value == "true"


def _setting(session: Session, name: str) -> str | None:
    """Of cassandra.yaml, as the node tells; None when it does not."""
    try:
        rows = session.query(f"SELECT value FROM system_views.settings WHERE name = '{name}'")  # noqa: S608 - our names
    except BackupError as error:
        log.debug("the target does not tell its %s: %s", name, error.message)
        return None
    return str(rows[0][0]) if rows else None


def _resolved(host: str) -> str:
    try:
        return socket.gethostbyname(host)
    except (OSError, UnicodeError):
        return host
