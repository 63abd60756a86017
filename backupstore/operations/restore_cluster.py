"""From a backup in the bucket and the ring that is there now to a job: what a cluster restore is planned from, and asks for.

Reads only, but for ``ask``, which writes the request, and with it begins everything. What the catalog says of the backup
is not relied on: its node backups are looked at where they lie.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from backupstore.core import layout as grammar
from backupstore.core import names, tokenmap
from backupstore.core.catalog import line_of
from backupstore.core.completion import datacenter_of, first_nodes, is_finished
from backupstore.core.documents import Attempt, ClusterBackup, Head, encode
from backupstore.core.job_documents import Assignment, Request
from backupstore.core.layout import Layout
from backupstore.core.pairing import Seat
from backupstore.core.shown import counted, some_of
from backupstore.core.tokenmap import RingMember
from backupstore.core.topology import Choice, Match, Ring
from backupstore.errors import NotFound, Refused
from backupstore.operations.condemned import all_condemned
from backupstore.operations.documents import read_own
from backupstore.operations.reading import survey_backup
from backupstore.ports import ObjectStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the operator asks for. ``parallel``: so many nodes at once fetch or load; 0 for all."""

    backup: str
    choice: Choice = field(default_factory=Choice)
    keyspaces: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    keep_auth: bool = False
    verify: bool = True
    parallel: int = 0
    accept_incomplete: bool = False
    stop_first: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A backup as it is in the bucket. ``sizes``: its finished node backups → bytes; ``first``: the one that began first.

    ``ring``: what each datacenter looked like to the node of it that began first. ``lacking``: nodes without a backup.
    ``releases``: the versions of Cassandra that the nodes ran.
    """

    name: str
    started: float
    ring: Ring
    sizes: Mapping[str, int]
    first: str
    lacking: tuple[str, ...] = ()
    releases: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SeenRing:
    """The ring as the newest backups show it. ``backup``: the newest one of them; ``at``: when that began."""

    ring: Ring
    backup: str
    at: float


@dataclass(frozen=True, slots=True)
class ClusterPlan:
    """A restore that could be asked for: of what, onto whom, and who starts first."""

    asked: Asked
    source: Source
    match: Match
    seeds: frozenset[str]

    @property
    def loads(self) -> dict[str, int]:
        """Target → bytes that it fetches."""
        return {target: sum(self.source.sizes[one] for one in of) for target, of in self.match.sources.items()}

    @property
    def replaces(self) -> bool:
        """Whether files are put in place, with Cassandra down, and not loaded into the running cluster."""
        return self.match.way != "sstableloader"


def read_source(store: ObjectStore, layout: Layout, asked: Asked) -> Source:
    """The backup. NotFound; Refused, naming nodes, when it is not one to restore a cluster from; Corrupt."""
    document = survey_backup(store, layout, asked.backup) if names.is_segment(asked.backup) else None
    line = line_of(document) if document else None
    if document is None or line is None:
        raise NotFound(
            f"There is no backup {asked.backup}.",
            hint="list-backups --show-all shows what there is.",
            operation="restore-cluster",
            key=asked.backup,
        )
    lacking = (*line.incomplete, *line.missing)
    _check_whole(document, lacking, asked)
    _check_not_condemned(store, layout, asked.backup)
    finished = {name: fact for name, fact in document.nodes.items() if is_finished(fact)}
    first = min(finished, key=lambda name: (finished[name].started, name), default="")
    releases = tuple(sorted({fact.release_version for fact in finished.values()}))
    return Source(
        name=document.name,
        started=line.started,
        ring=_ring_of(store, layout, document),
        sizes={name: fact.size for name, fact in sorted(finished.items())},
        first=first,
        lacking=lacking,
        releases=releases,
        warnings=tuple(_doubts(document, lacking, releases)),
    )


def newest_ring(
    store: ObjectStore, layout: Layout, head: Head, read: Callable[[str], ClusterBackup | None]
) -> SeenRing:
    """The ring of all datacenters as each one's newest backup shows it. NotFound when no backup does."""
    seats: dict[str, Seat] = {}
    seen, wanted, cluster = set[str](), set[str](), ""
    newest: tuple[str, float] | None = None
    for line in reversed(head.backups):
        if seen and wanted <= seen:
            break
        document = read(line.name)
        for name, dc in _newest_of_each(document).items() if document else ():
            if document is None or dc in seen:
                continue
            attempt = _attempt(store, layout, document, name)
            members = _tokenmap(store, layout, document.name, name)
            hosts = {node: fact.host_id or "" for node, fact in document.nodes.items()}
            hosts |= {node.name: node.host_id for node in attempt.ring} if attempt else {}
            seats |= {seat.name: seat for seat in _seats(members, hosts)}
            seen.add(dc)
            wanted |= {node.dc for node in attempt.ring} if attempt else {dc}
            cluster = cluster or (attempt.cluster if attempt else "")
            newest = newest or (line.name, line.started)
    if newest is None:
        raise NotFound(
            "No backup in the bucket shows what the ring looks like now.",
            hint="Name a node of the target that is up, with --seed-target, or give a --host-list.",
            operation="restore-cluster",
        )
    return SeenRing(Ring(tuple(seats[name] for name in sorted(seats)), cluster), *newest)


def schema_of(store: ObjectStore, layout: Layout, source: Source) -> tuple[str | None, str]:
    """The backup's schema in the server's words, where it has them, and in the driver's."""
    described, exported = (
        _text(store, layout.meta(source.first, source.name, file)) for file in (grammar.DESCRIBE, grammar.SCHEMA)
    )
    return described, exported or ""


def _text(store: ObjectStore, key: str) -> str | None:
    try:
        return store.read(key).body.decode("utf-8", "replace")
    except NotFound:
        return None


def request_of(plan: ClusterPlan, *, job: str, by: str, now: float) -> Request:
    """What is written for the coordinator. Refused when nobody could start first."""
    if plan.replaces and not plan.seeds & plan.match.sources.keys():
        raise Refused(
            "Which of the targets are seeds is not known, and the others cannot start before one of them.",
            hint=f"Say so, by their names: --seeds {min(plan.match.sources)}",
            operation="restore-cluster",
        )
    asked, loads = plan.asked, plan.loads
    return Request(
        job=job,
        kind="restore",
        backup=asked.backup,
        by=by,
        created=now,
        assignments=tuple(
            Assignment(
                target=target,
                sources=sources,
                seed=target in plan.seeds,
                remote=plan.match.way == "remote",
                size=loads[target],
            )
            for target, sources in sorted(plan.match.sources.items())
        ),
        method="replace" if plan.replaces else "sstableloader",
        parallel=asked.parallel,
        keyspaces=asked.keyspaces,
        tables=asked.tables,
        keep_auth=asked.keep_auth,
        verify=asked.verify,
        stop_first=asked.stop_first,
        accept_incomplete=asked.accept_incomplete,
        datacenters={before: now for before, now in sorted(plan.match.datacenters.items()) if before != now},
    )


def ask(store: ObjectStore, layout: Layout, request: Request) -> None:
    """Write the request. Conflict when there is a job of that id."""
    store.create(layout.job_request(request.job), encode(request))


def _check_whole(document: ClusterBackup, lacking: tuple[str, ...], asked: Asked) -> None:
    live = {name: fact for name, fact in document.nodes.items() if is_finished(fact)}
    corrupt = [name for name, fact in live.items() if fact.corrupt]
    partial = [name for name, fact in live.items() if fact.partial]
    why, way_out = "", "Choose another one: list-backups --show-all."
    if not live:
        why = "is finished on no node"
    elif corrupt:
        why = f"holds corrupt SSTables of {some_of(sorted(corrupt))}"
        way_out += " What is left of it can be restored node by node: restore-node --accept-corrupt."
    elif lacking and not asked.accept_incomplete:
        why = f"is not complete: {_without(lacking)}"
        way_out += " --accept-incomplete loads what there is, by sstableloader."
    elif partial and not (asked.keyspaces or asked.tables):
        why = f"holds only some tables of {some_of(sorted(partial))}"
        way_out += " Or say what to restore of it, with --keyspace or --table."
    if why:
        raise Refused(
            f"The backup {document.name} {why}.", hint=way_out, operation="restore-cluster", key=document.name
        )


def _without(lacking: tuple[str, ...]) -> str:
    have = "has" if len(lacking) == 1 else "have"
    return f"{counted(len(lacking), 'node')} {have} no finished backup ({some_of(sorted(lacking))})"


def _check_not_condemned(store: ObjectStore, layout: Layout, backup: str) -> None:
    nodes = sorted({node for node, _, document in all_condemned(store, layout) if backup in document.backups})
    if nodes:
        raise Refused(
            f"The backup {backup} is being deleted, on {some_of(sorted(nodes))}.",
            hint="Choose another one: list-backups --show-all.",
            operation="restore-cluster",
            key=backup,
        )


def _doubts(document: ClusterBackup, lacking: tuple[str, ...], releases: tuple[str, ...]) -> Iterable[str]:
    """What should be known before it is relied on."""
    if lacking:
        yield f"The backup is not complete: {_without(lacking)}. What only they hold will be missing."
    for one in document.verified:
        if not one.ok:
            yield f"verify --level {one.level} found it bad: look at it before it is restored."
    if len(releases) > 1:
        yield f"Its nodes ran different versions of Cassandra: {', '.join(releases)}."


def _ring_of(store: ObjectStore, layout: Layout, document: ClusterBackup) -> Ring:
    """Tokens by the tokenmap of each datacenter's first node, host ids by what each node said of itself."""
    first = first_nodes(document.nodes, document.rings)
    hosts = {name: fact.host_id or "" for name, fact in document.nodes.items()}
    seats: dict[str, Seat] = {}
    cluster = ""
    for name in first.values():
        attempt = _attempt(store, layout, document, name)
        cluster = cluster or (attempt.cluster if attempt else "")
        seats |= {seat.name: seat for seat in _seats(_tokenmap(store, layout, document.name, name), hosts)}
    return Ring(tuple(seats[name] for name in sorted(seats)), cluster)


def _newest_of_each(document: ClusterBackup) -> dict[str, str]:
    """Node → datacenter, of each datacenter the node that began last and shows its ring."""
    found: dict[str, str] = {}
    for name, fact in sorted(document.nodes.items(), key=lambda item: (-item[1].started, item[0])):
        dc = datacenter_of(name, document.rings.get(fact.ring or "", {}))
        if dc is not None and not fact.abandoned and dc not in found.values():
            found[name] = dc
    return found


def _attempt(store: ObjectStore, layout: Layout, document: ClusterBackup, node: str) -> Attempt | None:
    """The last attempt at a node backup; None for stock's, which has none."""
    number = document.nodes[node].attempts
    return read_own(store, Attempt, layout.attempt(node, document.name, number)) if number else None


def _tokenmap(store: ObjectStore, layout: Layout, backup: str, node: str) -> Mapping[str, RingMember]:
    key = layout.meta(node, backup, grammar.TOKENMAP)
    return tokenmap.parse(store.read(key).body, key)


def _seats(members: Mapping[str, RingMember], hosts: Mapping[str, str]) -> Iterable[Seat]:
    for name, member in members.items():
        yield Seat(name, member.dc, member.rack, tuple(sorted(member.tokens)), hosts.get(name, ""))
