"""Backing one node up. The order of the steps is the protocol of ``docs/bucket-format.md``, and is what makes it safe:

    lock → snapshot with its schema → schema.cql (the intent) → read condemned → attempt → list own data → meta
    → announce started → data → manifest.json (the commit) → announce finished → clear the snapshot

Every write is create-only. Killed anywhere, the next run under the same name goes on as a further attempt, and nothing
that a manifest names is ever missing: the manifest is written last, and only relies on objects that were listed after
the attempt had said which condemned documents it knows.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace

from backupstore.core import layout as grammar
from backupstore.core import names
from backupstore.core.documents import Announcement, CorruptFile, encode
from backupstore.core.layout import Announced
from backupstore.errors import NotFound, Refused
from shipper import begin, manifest, snapshot
from shipper.begin import Node, Opened, Request
from shipper.cassandra.port import Schema
from shipper.intent import Found, New, Resume
from shipper.meta import create_any, find
from shipper.progress import Progress
from shipper.site import Site
from shipper.transfer.decide import Destination
from shipper.transfer.inspect import Finding, inspect
from shipper.transfer.ledger import Ledger, Totals
from shipper.transfer.plan import make_plan
from shipper.transfer.upload import Reread, Uploader

_ANNOUNCED_FILES = 1000
_DAY = 86400.0
_MEASURABLE = 64 << 20  # less says nothing about how fast a large backup would be


@dataclass(frozen=True, slots=True)
class Limits:
    """``workers``: transfers at once; ``grace``: incomplete_grace in seconds; ``reread_days``: known files are read again."""

    workers: int = 8
    grace: float = 14 * _DAY
    reread_days: float = 30.0


@dataclass(frozen=True, slots=True)
class Report:
    """What a backup came to. ``findings`` are bad or odd components, ``rotten`` paths whose disk forgot its content."""

    backup: str
    attempt: int
    totals: Totals
    seconds: float
    findings: tuple[Finding, ...] = ()
    rotten: tuple[str, ...] = ()

    @property
    def is_good(self) -> bool:
        """Whether this backup may be relied on."""
        return not any(finding.is_corrupt for finding in self.findings)


def back_up(site: Site, request: Request, limits: Limits, progress: Progress) -> Report:
    """Back the node up, or finish what an earlier run of this name began."""
    names.check_backup_name(request.backup)
    with site.state.locked(f"backup {request.backup}"):
        if site.state.journal.exists():
            raise Refused(
                "A restore of this node is not over.",
                hint="Run the same restore-node again to finish it, or restore-node --undo.",
                operation="backup",
            )
        progress.step("looking at the node")
        return _Run(site, request, limits, progress, begin.look_at_node(site), site.clock.running()).run()


@dataclass(frozen=True, slots=True)
class _Run:
    """One attempt, from the lock to the cleared snapshot. ``began`` by ``Clock.running``."""

    site: Site
    request: Request
    limits: Limits
    progress: Progress
    node: Node
    began: float

    def run(self) -> Report:
        site, backup = self.site, self.request.backup
        found = find(site.store, site.layout, site.name, backup)
        over = grammar.MANIFEST in found.files or grammar.ABANDONED in found.files
        resumable = bool(found.files) and not over
        snapshot.clear_stale(site.cassandra, self._tag if resumable else None)
        if self._only_the_last_word_is_missing(found):
            attempt = found.latest.attempt if found.latest else 1
            return self._finish(Report(backup, attempt, Totals(0, 0, 0, 0, 0), 0.0))
        intent = self._decide(found)
        schema = self._secure_snapshot(intent)
        opened = begin.open_attempt(site, self.node, self.request, intent, schema, grace=self.limits.grace)
        site.state.write(
            "identity",
            {"host_id": self.node.identity.host_id, "cluster": self.node.identity.cluster, "node": site.name},
        )
        begin.write_meta(site, self.node, self.request, intent, schema)
        self._announce("started", opened.number)
        with closing(Ledger(site.state.plan, site.state.known_files, site.bucket)) as ledger:
            return self._finish(self._ship(opened, ledger))

    @property
    def _tag(self) -> str:
        return snapshot.tag_of(self.request.backup, keep=self.request.keep_snapshot)

    def _only_the_last_word_is_missing(self, found: Found) -> bool:
        """Killed between the manifest and its announcement: the backup is whole, and nobody has been told."""
        ours = found.latest is not None and found.latest.host_id == self.node.identity.host_id
        if not ours or grammar.MANIFEST not in found.files or grammar.ABANDONED in found.files:
            return False
        try:
            self.site.store.head(self.site.layout.announced(self.site.name, self.request.backup, "finished"))
        except NotFound:
            return True
        return False

    def _decide(self, found: Found) -> New | Resume:
        asked = begin.wanted(self.site, self.node, self.request)
        intent = begin.decide(self.site, asked, found, grace=self.limits.grace)
        if isinstance(intent, New):
            begin.check_neighbours(self.site, self.request.backup, self.progress)
        for dead in begin.abandon_dead(self.site, self.request.backup):
            self.progress.warn(f"{dead} was never finished and is given up")
        return intent

    def _secure_snapshot(self, intent: New | Resume) -> Schema:
        cassandra = self.site.cassandra
        if isinstance(intent, Resume) and self._tag in cassandra.snapshot_tags(self._tag):
            self.progress.step(f"going on with {self.request.backup}, attempt {intent.attempt}, from its snapshot")
            return cassandra.schema()
        self.progress.step("taking a snapshot")
        schema = snapshot.take(cassandra, self._tag, self.request.filters)
        if isinstance(intent, Resume):
            begin.check_resume_without_snapshot(self.site, self.node, self.request, intent, schema)
        return schema

    def _ship(self, opened: Opened, ledger: Ledger) -> Report:
        site, request = self.site, self.request
        self.progress.step("comparing with the bucket")
        destination = Destination(
            site.layout, site.name, request.backup, request.mode, opened.number, opened.condemned.keys
        )
        make_plan(ledger, site.cassandra, opened.tag, site.store, destination)
        self._check_time(opened, ledger.unknown_size())
        totals = ledger.totals()
        self.progress.begin("uploading", files=totals.files, size=totals.size)
        try:
            uploader = Uploader(site.store, ledger, destination, clock=site.clock, workers=self.limits.workers)
            rotten = uploader.ship(self._reread(totals), self.progress)
        finally:
            self.progress.end()
        findings = tuple(inspect(ledger))
        self._announce_corrupt(findings, opened.number)
        self._check_time(opened, 0)
        self.progress.step("writing the manifest")
        manifest.commit(site, request.backup, ledger, disks=len(site.cassandra.data_directories))
        if not request.filters.keyspaces and not request.filters.tables:
            ledger.forget_all_but_plan()
        return Report(request.backup, opened.number, ledger.totals(), 0.0, findings, rotten)

    def _reread(self, totals: Totals) -> Reread:
        """Spread the reading over the days, as if a backup ran once a day: at least one file each time."""
        days = self.limits.reread_days
        return Reread(self.site.clock.now() - days * _DAY, 1 + int(totals.files / max(1.0, days)))

    def _check_time(self, opened: Opened, size: int) -> None:
        """Nobody may commit later than half of the grace: purge relies on it. So do not even begin what cannot be done by then."""
        left = opened.deadline - self.site.clock.running()
        rate = self.site.state.read("last").get("bytes_per_second", 0)
        needed = size / rate if rate else 0.0
        if left <= needed:
            raise Refused(
                f"{self.request.backup} cannot be finished in time: {max(0.0, left) / 3600:.1f} hours are left,"
                f" about {needed / 3600:.1f} are needed.",
                hint="Raise incomplete_grace_days in the [shipper] section on every node and for purge, then use a new name.",
                operation="backup",
            )

    def _announce(self, what: Announced, attempt: int, files: tuple[CorruptFile, ...] = ()) -> None:
        document = Announcement(attempt=attempt, at=self.site.clock.now(), files=files)
        key = self.site.layout.announced(self.site.name, self.request.backup, what)
        create_any(self.site.store, (key,), encode(document))

    def _announce_corrupt(self, findings: tuple[Finding, ...], attempt: int) -> None:
        files = tuple(CorruptFile(path=f.key, why=f.why) for f in findings if f.is_corrupt)[:_ANNOUNCED_FILES]
        if files:
            self._announce("corrupt", attempt, files)

    def _finish(self, report: Report) -> Report:
        """Tell the indexer, let the snapshot go, remember."""
        site = self.site
        self._announce("finished", report.attempt)
        if not self.request.keep_snapshot:
            site.cassandra.clear_snapshot(self._tag)
        seconds = site.clock.running() - self.began
        rate = report.totals.new_size / seconds if report.totals.new_size > _MEASURABLE and seconds > 0 else None
        last = site.state.read("last")
        remembered = {"backup": report.backup, "node": site.name, "bucket": site.bucket}
        site.state.write("last", {**remembered, "bytes_per_second": rate or last.get("bytes_per_second", 0)})
        site.state.write(begin.OPEN, {"names": []})
        return replace(report, seconds=seconds)
