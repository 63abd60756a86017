"""The opening of an attempt: everything of the protocol before the first byte of data.

The order is what purge relies on: the intent exists before the condemned documents are read, they are read before the
attempt says which of them it has seen, and only after that is the node's data listed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from backupstore.core import layout as grammar
from backupstore.core import names, tokenmap
from backupstore.core.documents import Abandoned, Attempt, Mode, RingNode, encode
from backupstore.errors import Conflict, NotFound, Refused
from shipper import VERSION, snapshot
from shipper.cassandra.port import Identity, Member, Schema
from shipper.intent import Found, New, Resume, Wanted, decide_intent
from shipper.meta import Condemnation, create_once, find, own_backups, read_condemned
from shipper.progress import Progress
from shipper.ring import check_own_name, tokenmap_of
from shipper.site import Site
from shipper.snapshot import Filters

OPEN = "open-backups"


@dataclass(frozen=True, slots=True)
class Request:
    """What ``backup`` was asked to do."""

    backup: str
    mode: Mode = "differential"
    filters: Filters = Filters()
    keep_snapshot: bool = False


@dataclass(frozen=True, slots=True)
class Opened:
    """An attempt that may ship. ``deadline`` by ``Clock.running``: after it, nothing may be committed."""

    number: int
    tag: str
    condemned: Condemnation
    deadline: float
    resumed: bool


@dataclass(frozen=True, slots=True)
class Node:
    """The node as it is at the start of the attempt."""

    identity: Identity
    ring: tuple[Member, ...]


def look_at_node(site: Site) -> Node:
    """Ask Cassandra who it is, and check that our name in the bucket is its name in the tokenmap."""
    names.check_node_name(site.name, site.layout.prefix)
    node = Node(site.cassandra.identity(), site.cassandra.ring())
    check_own_name(node.identity, node.ring, site.name)
    return node


def wanted(site: Site, node: Node, request: Request) -> Wanted:
    """The request as the decision takes it."""
    filters = request.filters
    return Wanted(site.name, request.backup, request.mode, node.identity.host_id, filters.keyspaces, filters.tables)


def decide(site: Site, asked: Wanted, found: Found, *, grace: float) -> New | Resume:
    """New or a resume; everything that only reading can tell is checked here, before the first write."""
    intent = decide_intent(asked, found, now=site.clock.now(), grace=grace)
    if asked.backup in read_condemned(site.store, site.layout, site.name).backups:
        raise Refused(
            f"The name {asked.backup} is taken: a backup of that name is being deleted.",
            hint="Choose another name.",
            operation="backup",
            key=asked.backup,
        )
    return intent


def check_neighbours(site: Site, backup: str, progress: Progress) -> None:
    """Names that begin with each other: refused beside stock's backups, because its purge would delete both."""
    others = names.neighbours(backup, own_backups(site.store, site.layout, site.name))
    if not others:
        return
    stock = [other for other in others if find(site.store, site.layout, site.name, other).latest is None]
    text = f"The name {backup} and {', '.join(others)} begin with each other"
    if stock:
        raise Refused(
            f"{text}, and {', '.join(stock)} was written by stock Medusa: its purge of the shorter one deletes the longer one.",
            hint="Choose a name of fixed width, such as the default.",
            operation="name",
        )
    progress.warn(f"{text}: stock Medusa's purge of the shorter one would delete the longer one.")


def abandon_dead(site: Site, backup: str) -> tuple[str, ...]:
    """Mark attempts of ours that nobody will finish: holding the node's lock, we know that none of them is running."""
    remembered = site.state.read(OPEN)
    candidates = remembered["names"] if "names" in remembered else own_backups(site.store, site.layout, site.name)
    dead = []
    for other in candidates:
        if other == backup:
            continue
        found = find(site.store, site.layout, site.name, other)
        over = grammar.MANIFEST in found.files or grammar.ABANDONED in found.files
        if found.latest is not None and not over:
            document = Abandoned(node=site.name, backup=other, by=backup, at=site.clock.now())
            try:
                site.store.create(site.layout.meta(site.name, other, grammar.ABANDONED), encode(document))
            except Conflict:
                continue
            dead.append(other)
    return tuple(dead)


def open_attempt(
    site: Site, node: Node, request: Request, intent: New | Resume, schema: Schema, *, grace: float
) -> Opened:
    """Write the intent, read condemned, write the attempt."""
    site.state.write(OPEN, {"names": [request.backup]})
    begun_running = site.clock.running()
    _write_schema(site, request, intent, schema)
    condemned = read_condemned(site.store, site.layout, site.name)
    tag = snapshot.tag_of(request.backup, keep=request.keep_snapshot)
    document = _attempt(site, node, request, number=intent.attempt, tag=tag, seen=condemned.runs)
    try:
        written = site.store.create(site.layout.attempt(site.name, request.backup, intent.attempt), encode(document))
    except Conflict as error:
        raise Refused(
            f"Another shipper has just begun attempt {intent.attempt} of {request.backup} for {site.name}.",
            hint="Two machines ship under one node name: check 'fqdn' in medusa.ini on both.",
            operation="backup",
        ) from error
    # The store's own times say how old the intent is, whatever this machine's clock says or has been through.
    age = max(0.0, written.modified - intent.begun) if isinstance(intent, Resume) else 0.0
    return Opened(intent.attempt, tag, condemned, begun_running + grace / 2 - age, isinstance(intent, Resume))


def _write_schema(site: Site, request: Request, intent: New | Resume, schema: Schema) -> None:
    key = site.layout.meta(site.name, request.backup, grammar.SCHEMA)
    try:
        site.store.create(key, schema.export.encode())
    except Conflict as error:
        if isinstance(intent, New):
            raise Refused(
                f"Another process has just begun {request.backup} for {site.name}.",
                hint="Wait until it ends, or choose another name.",
                operation="backup",
                key=key,
            ) from error


def _attempt(site: Site, node: Node, request: Request, *, number: int, tag: str, seen: tuple[str, ...]) -> Attempt:
    ring = tuple(RingNode(name=m.name, host_id=m.host_id, dc=m.dc, rack=m.rack) for m in node.ring)
    return Attempt(
        attempt=number,
        node=site.name,
        backup=request.backup,
        host_id=node.identity.host_id,
        cluster=node.identity.cluster,
        boot_id=site.clock.boot_id(),
        begun=site.clock.now(),
        mode=request.mode,
        keyspaces=request.filters.keyspaces,
        tables=request.filters.tables,
        ring=ring,
        release_version=node.identity.release_version,
        shipper_version=VERSION,
        snapshot=tag,
        condemned_seen=seen,
    )


def check_resume_without_snapshot(site: Site, node: Node, request: Request, intent: Resume, schema: Schema) -> None:
    """The attempt's snapshot is gone and a new one was taken: only the same schema and tokens make it the same backup."""
    reasons = []
    if request.mode == "full":
        reasons.append("a full backup cannot mix two snapshots")
    if grammar.SCHEMA in intent.files and _body(site, request, grammar.SCHEMA) != schema.export.encode():
        reasons.append("the schema has changed")
    if grammar.TOKENMAP in intent.files:
        stored = tokenmap.parse(_body(site, request, grammar.TOKENMAP) or b"", request.backup).get(site.name)
        if stored is None or set(stored.tokens) != set(node.identity.tokens):
            reasons.append("the node's tokens have changed")
    if reasons:
        document = Abandoned(node=site.name, backup=request.backup, by=request.backup, at=site.clock.now())
        create_once(site.store, site.layout.meta(site.name, request.backup, grammar.ABANDONED), encode(document))
        raise Refused(
            f"{request.backup} cannot be finished: its snapshot is gone, and {' and '.join(reasons)}. It is given up.",
            hint="Run the backup again with a new name.",
            operation="backup",
        )


def _body(site: Site, request: Request, file: str) -> bytes | None:
    try:
        return site.store.read(site.layout.meta(site.name, request.backup, file)).body
    except NotFound:
        return None


def write_meta(site: Site, node: Node, request: Request, intent: New | Resume, schema: Schema) -> None:
    """The small objects that stock expects, and the server's own description of the schema."""
    present = intent.files if isinstance(intent, Resume) else frozenset[str]()
    version = json.dumps({"server_type": node.identity.server_type, "release_version": node.identity.release_version})
    bodies = {
        grammar.TOKENMAP: tokenmap.encode(tokenmap_of(node.identity, node.ring)),
        grammar.SERVER_VERSION: version.encode(),
        grammar.DIFFERENTIAL: b"differential" if request.mode == "differential" else None,
        grammar.DESCRIBE: schema.described.encode(),
    }
    for file, body in bodies.items():
        if body is not None and file not in present:
            create_once(site.store, site.layout.meta(site.name, request.backup, file), body)
