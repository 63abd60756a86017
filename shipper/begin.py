"""The opening of an attempt: everything of the protocol before the first byte of data.

The order is what purge relies on: the intent exists before the condemned documents are read, they are read before the
attempt says which of them it has seen, and only after that is the node's data listed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from backupstore.core import layout as grammar
from backupstore.core import names, tokenmap
from backupstore.core.documents import Abandoned, Attempt, Mode, RingNode, encode
from backupstore.errors import BackupError, Refused
from shipper import VERSION
from shipper.announce import announce
from shipper.cassandra.port import Identity, Member, Schema
from shipper.intent import Found, New, Resume, Wanted, decide_intent
from shipper.memory import Taken, Unfinished, forget_snapshot, remember_unfinished, unfinished
from shipper.meta import Condemnation, body_of, create_any, create_once, look, own_backups, read_condemned
from shipper.progress import Progress
from shipper.ring import check_own_name, tokenmap_of
from shipper.site import Site
from shipper.snapshot import Filters, is_ours


@dataclass(frozen=True, slots=True)
class Request:
    """What ``backup`` was asked to do."""

    backup: str
    mode: Mode = "differential"
    filters: Filters = field(default_factory=Filters)
    keep_snapshot: bool = False
    existing_snapshot: bool = False


@dataclass(frozen=True, slots=True)
class Opened:
    """An attempt that may ship. ``begun``: the store's time of the intent.

    ``deadline`` by ``Clock.running``: after it, nothing may be committed.
    """

    number: int
    condemned: Condemnation
    begun: float
    deadline: float


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


def describe(node: Node, schema: Schema) -> dict[str, str]:
    """The meta files that say what a snapshot is of: all of them as of the snapshot's time."""
    identity = node.identity
    version = {"server_type": identity.server_type, "release_version": identity.release_version}
    return {
        grammar.SCHEMA: schema.export,
        grammar.TOKENMAP: tokenmap.encode(tokenmap_of(identity, node.ring)).decode(),
        grammar.SERVER_VERSION: json.dumps(version),
        grammar.DESCRIBE: schema.described,
    }


@dataclass(frozen=True, slots=True)
class Opening:
    """The steps before the first byte of data. ``grace``: incomplete_grace in seconds."""

    site: Site
    node: Node
    request: Request
    grace: float

    def decide(self, found: Found, progress: Progress) -> New | Resume:
        """New or a resume; everything that only reading can tell is checked here, before the first write."""
        request, remembered = self.request, unfinished(self.site)
        asked = Wanted(
            self.site.name,
            request.backup,
            request.mode,
            self.node.identity.host_id,
            request.filters.keyspaces,
            request.filters.tables,
            begun_here=remembered is not None and request.backup in remembered.names,
        )
        intent = decide_intent(asked, found, now=self.site.clock.now(), grace=self.grace)
        self._check_not_condemned(read_condemned(self.site.store, self.site.layout, self.site.name))
        if isinstance(intent, New):
            self._check_neighbours(progress)
        return intent

    def settle_others(self, progress: Progress) -> None:
        """Give up backups of ours that nobody will finish: holding the node's lock, we know that none of them runs."""
        remembered = unfinished(self.site)
        others = own_backups(self.site.store, self.site.layout, self.site.name) if remembered is None else ()
        for other in remembered.names if remembered else others:
            if other == self.request.backup:
                continue
            found = look(self.site.store, self.site.layout, self.site.name, other)
            # Without an attempt it is ours only if we remember it: stock's look alike.
            ours = found.attempts > 0 or (remembered is not None and set(found.files) == {grammar.SCHEMA})
            if ours and not found.is_over:
                self._abandon(other)
                progress.warn(f"{other} was never finished and is given up")
            elif remembered and found.attempts and grammar.ABANDONED not in found.files:
                announce(self.site, other, "finished", found.attempts)  # killed before it could tell

    def open(self, intent: New | Resume, taken: Taken) -> Opened:
        """Write the intent, read condemned, write the attempt."""
        site, backup, number = self.site, self.request.backup, intent.attempt
        begun_running = site.clock.running()
        begun = intent.begun if isinstance(intent, Resume) else self._write_schema(taken.meta[grammar.SCHEMA])
        condemned = read_condemned(site.store, site.layout, site.name)
        # Purge may have taken an unfinished backup of this name up since we looked.
        self._check_not_condemned(condemned)
        key = site.layout.attempt(site.name, backup, number)
        try:
            written = create_once(site.store, key, encode(self._attempt(number, taken.tag, condemned.runs)))
        except Refused as error:
            raise Refused(
                f"Another shipper has just begun attempt {number} of {backup} for {site.name}.",
                hint="Two machines ship under one node name: check 'fqdn' in medusa.ini on both.",
                operation="backup",
                key=key,
            ) from error
        # The store's own times say how old the intent is, whatever this machine's clock says or has been through.
        age = max(0.0, written - begun) if isinstance(intent, Resume) else 0.0
        return Opened(number, condemned, begun, begun_running + self.grace / 2 - age)

    def write_meta(self, intent: New | Resume, taken: Taken) -> None:
        """The small objects that stock expects, and the server's own description of the schema."""
        present = intent.files if isinstance(intent, Resume) else frozenset[str]()
        bodies = {file: body.encode() for file, body in taken.meta.items() if file != grammar.SCHEMA}
        if self.request.mode == "differential":
            bodies[grammar.DIFFERENTIAL] = b"differential"
        for file in (grammar.TOKENMAP, grammar.SERVER_VERSION, grammar.DIFFERENTIAL, grammar.DESCRIBE):
            if file in bodies and file not in present:
                create_once(self.site.store, self._meta(file), bodies[file])

    def check_may_retake(self) -> None:
        """The attempt's snapshot is gone. Refused, and given up, where no other one can take its place."""
        if self.request.mode == "full":
            self.give_up(f"{self._backup} cannot be finished: its snapshot is gone, and a full backup cannot mix two")

    def check_same(self, intent: Resume, fresh: Mapping[str, str]) -> None:
        """Another snapshot was taken: only the same schema, tokens and version make it the same backup."""
        stored = {file: body_of(self.site.store, self._meta(file)) for file in fresh if file in intent.files}
        changed = {file for file, body in stored.items() if body is not None and body != fresh[file].encode()}
        reasons = []
        if changed & {grammar.SCHEMA, grammar.DESCRIBE}:
            reasons.append("the schema has changed")
        if grammar.TOKENMAP in changed and self._has_other_tokens(stored[grammar.TOKENMAP] or b""):
            reasons.append("the node's tokens have changed")
        if grammar.SERVER_VERSION in changed:
            reasons.append("Cassandra has another version now")
        if reasons:
            self.give_up(f"{self._backup} cannot be finished: its snapshot is gone, and {' and '.join(reasons)}")

    def give_up(self, why: str) -> None:
        """Nobody will finish this backup: say so in the bucket, let go of its snapshots, and refuse."""
        site, backup = self.site, self.request.backup
        self._abandon(backup)
        with suppress(BackupError):  # the next run clears what is left
            forget_snapshot(site)
            for tag in (unfinished(site) or Unfinished()).snapshots:
                site.cassandra.clear_snapshot(tag)
        raise Refused(f"{why}. It is given up.", hint="Run the backup again with a new name.", operation="backup")

    def remember_begun(self, tag: str) -> None:
        """Before the snapshot is taken: the next run must find it, and this backup, whatever becomes of us."""
        remember_unfinished(self.site, Unfinished((self.request.backup,), (tag,) if is_ours(tag) else ()))

    @property
    def _backup(self) -> str:
        return f"{self.request.backup} of {self.site.name}"

    def _meta(self, file: str) -> str:
        return self.site.layout.meta(self.site.name, self.request.backup, file)

    def _abandon(self, other: str) -> None:
        site = self.site
        document = Abandoned(node=site.name, backup=other, by=self.request.backup, at=site.clock.now())
        create_any(site.store, (site.layout.meta(site.name, other, grammar.ABANDONED),), encode(document))

    def _check_not_condemned(self, condemned: Condemnation) -> None:
        if self.request.backup in condemned.backups:
            raise Refused(
                f"The name {self.request.backup} is taken: a backup of that name is being deleted.",
                hint="Choose another name.",
                operation="backup",
                key=self.request.backup,
            )

    def _check_neighbours(self, progress: Progress) -> None:
        """Names that begin with each other: refused beside stock's backups, because its purge would delete both."""
        site, backup = self.site, self.request.backup
        others = names.neighbours(backup, own_backups(site.store, site.layout, site.name))
        if not others:
            return
        text = f"The name {backup} and {', '.join(others)} begin with each other"
        stock = [other for other in others if not look(site.store, site.layout, site.name, other).attempts]
        if stock:
            raise Refused(
                f"{text}, and {', '.join(stock)} was written by stock Medusa:"
                " its purge of the shorter one deletes the longer one.",
                hint="Choose a name of fixed width, such as the default.",
                operation="name",
            )
        progress.warn(f"{text}: stock Medusa's purge of the shorter one would delete the longer one.")

    def _write_schema(self, text: str) -> float:
        key = self._meta(grammar.SCHEMA)
        try:
            # When it is there with the same text, the answer was lost; if not, the attempt will tell.
            return create_once(self.site.store, key, text.encode())
        except Refused as error:
            raise Refused(
                f"Another process has just begun {self._backup}.",
                hint="Wait until it ends, or choose another name.",
                operation="backup",
                key=key,
            ) from error

    def _has_other_tokens(self, stored: bytes) -> bool:
        own = tokenmap.parse(stored, self._meta(grammar.TOKENMAP)).get(self.site.name)
        return own is None or set(own.tokens) != set(self.node.identity.tokens)

    def _attempt(self, number: int, tag: str, seen: tuple[str, ...]) -> Attempt:
        site, identity, filters = self.site, self.node.identity, self.request.filters
        return Attempt(
            attempt=number,
            node=site.name,
            backup=self.request.backup,
            host_id=identity.host_id,
            cluster=identity.cluster,
            boot_id=site.clock.boot_id(),
            begun=site.clock.now(),
            mode=self.request.mode,
            keyspaces=filters.keyspaces,
            tables=filters.tables,
            ring=tuple(RingNode(name=m.name, host_id=m.host_id, dc=m.dc, rack=m.rack) for m in self.node.ring),
            release_version=identity.release_version,
            shipper_version=VERSION,
            snapshot=tag,
            condemned_seen=seen,
            cached_mount=site.cached_mount,
        )
