"""Backing one node up. The order of the steps is the protocol of ``docs/bucket-format.md``, and is what makes it safe.

    lock → snapshot with its schema → schema.cql (the intent) → read condemned → attempt → list own data → meta
    → announce started → data → manifest.json (the commit) → announce finished → clear the snapshot

Every write is create-only. Killed anywhere, the next run under the same name goes on as a further attempt, and nothing
that a manifest names is ever missing: the manifest is written last, and only relies on objects that were listed after
the attempt had said which condemned documents it knows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from backupstore.core import layout as grammar
from backupstore.core import names
from backupstore.core.documents import CorruptFile
from backupstore.core.shown import counted
from backupstore.errors import BackupError, Corrupt
from shipper import manifest, snapshot
from shipper.announce import MOST_FILES, announce, announce_started
from shipper.begin import Node, Opened, Opening, Request, describe, look_at_node
from shipper.cassandra.port import Schema
from shipper.damage import DamageReport
from shipper.intent import Found, New, Resume
from shipper.memory import (
    Taken,
    Unfinished,
    forget_snapshot,
    recall_snapshot,
    remember_last,
    remember_snapshot,
    remember_unfinished,
    unfinished,
)
from shipper.meta import find
from shipper.pace import Pace
from shipper.progress import Progress
from shipper.restore.journal import check_untouched
from shipper.site import Site
from shipper.transfer.decide import Destination
from shipper.transfer.inspect import Finding, inspect
from shipper.transfer.ledger import Ledger, Totals, open_ledger
from shipper.transfer.plan import make_plan
from shipper.transfer.upload import Reread, Uploader

_DAY = 86400.0


@dataclass(frozen=True, slots=True)
class Limits:
    """``workers``: transfers at once; ``grace``: incomplete_grace in seconds; known files are read after so many days.

    ``compare_all``: read all of them now; ``readers``: how many of them at once. ``part_size``: of multipart uploads, in bytes.
    """

    workers: int = 8
    grace: float = 14 * _DAY
    reread_days: float = 30.0
    compare_all: bool = False
    readers: int = 1
    part_size: int = 50 << 20


@dataclass(frozen=True, slots=True)
class Report:
    """What a backup came to. ``rotten``: paths whose disk forgot its content.

    ``findings`` are bad or odd components, the bad ones first; of very many not all.
    """

    backup: str
    attempt: int
    totals: Totals
    seconds: float
    findings: tuple[Finding, ...] = ()
    rotten: tuple[str, ...] = ()

    @property
    def is_good(self) -> bool:
        """Whether this backup may be relied on."""
        return not self.totals.corrupt

    def check(self) -> None:
        """Corrupt when it may not be relied on."""
        corrupt = self.totals.corrupt
        if corrupt:
            raise Corrupt(
                f"{counted(corrupt, 'component')} of {self.backup} {'is' if corrupt == 1 else 'are'} corrupt on this node's"
                " disk; the backup is marked, and never good.",
                hint="Check the disk (dmesg, smartctl); run 'nodetool scrub' or rebuild the data from its replicas, then back"
                " up again.",
                operation="backup",
            )


def back_up(site: Site, request: Request, limits: Limits, progress: Progress) -> Report:
    """Back the node up, or finish what an earlier run of this name began."""
    names.check_backup_name(request.backup)
    with site.state.locked(f"backup {request.backup}"):
        check_untouched(site.state)
        began = site.clock.running()
        progress.step("looking at the node")
        report = _Run(site, request, limits, progress, look_at_node(site)).run()
        return replace(report, seconds=site.clock.running() - began)


@dataclass(frozen=True, slots=True)
class _Run:
    """One attempt, from the first look at the bucket to the cleared snapshot."""

    site: Site
    request: Request
    limits: Limits
    progress: Progress
    node: Node

    def run(self) -> Report:
        site, backup = self.site, self.request.backup
        found = find(site.store, site.layout, site.name, backup)
        if self._only_the_end_is_missing(found):
            return self._end_again(found)
        is_over = grammar.MANIFEST in found.files or grammar.ABANDONED in found.files
        taken = recall_snapshot(site, backup) if found.files and not is_over else None
        self._clear_stale(keep=taken.tag if taken else None)
        opening = Opening(site, self.node, self.request, self.limits.grace)
        intent = opening.decide(found, self.progress)
        opening.settle_others(self.progress)
        taken = self._secure_snapshot(opening, intent, taken)
        opened = opening.open(intent, taken)
        identity = self.node.identity
        site.state.write("identity", {"host_id": identity.host_id, "cluster": identity.cluster, "node": site.name})
        report = self._ship(opening, intent, taken, opened)
        announce(site, backup, "finished", report.attempt)
        self._let_go(taken.tag)
        return report

    def _only_the_end_is_missing(self, found: Found) -> bool:
        """Killed after the manifest: the backup is whole; perhaps nobody has been told, or its snapshot is still here."""
        ours = found.latest is not None and found.latest.host_id == self.node.identity.host_id
        if not ours or grammar.MANIFEST not in found.files or grammar.ABANDONED in found.files:
            return False
        remembered = unfinished(self.site)
        return (remembered is not None and self.request.backup in remembered.names) or not manifest.is_announced(
            self.site, self.request.backup
        )

    def _end_again(self, found: Found) -> Report:
        site, backup = self.site, self.request.backup
        totals, findings = manifest.look_back(site, backup)
        attempt = found.latest.attempt if found.latest else 1
        announce(site, backup, "finished", attempt)
        kept = snapshot.tag_of(backup, keep=True) if self.request.keep_snapshot else None
        forget_snapshot(site)
        self._clear_stale(keep=kept)
        remembered = unfinished(site) or Unfinished()
        remember_last(site, backup)
        # No snapshot is remembered any more: what was cleared is gone, and what was kept is the operator's now.
        remember_unfinished(site, Unfinished(tuple(name for name in remembered.names if name != backup)))
        return Report(backup, attempt, totals, 0.0, findings)

    def _clear_stale(self, keep: str | None) -> None:
        remembered = unfinished(self.site) or Unfinished()
        stale = snapshot.stale(self.site.cassandra, remembered.snapshots, keep=keep)
        if not keep:
            forget_snapshot(self.site)
        for tag in stale:
            self.site.cassandra.clear_snapshot(tag)

    def _secure_snapshot(self, opening: Opening, intent: New | Resume, taken: Taken | None) -> Taken:
        site, request = self.site, self.request
        if isinstance(intent, Resume) and taken:
            self.progress.step(f"going on with {request.backup}, attempt {intent.attempt}, from its snapshot")
            opening.remember_begun(taken.tag)
            return taken
        if isinstance(intent, Resume):
            opening.check_may_retake()
        tag, schema = self._found_snapshot(opening) if request.existing_snapshot else self._new_snapshot(opening)
        meta = describe(self.node, schema)
        if isinstance(intent, Resume):
            opening.check_same(intent, meta)
        return remember_snapshot(site, request.backup, tag, meta)

    def _new_snapshot(self, opening: Opening) -> tuple[str, Schema]:
        tag = snapshot.tag_of(self.request.backup, keep=self.request.keep_snapshot)
        opening.remember_begun(tag)
        self.progress.step("taking a snapshot")
        return tag, snapshot.take(self.site.cassandra, tag, self.request.filters)

    def _found_snapshot(self, opening: Opening) -> tuple[str, Schema]:
        tag, schema = snapshot.find(self.site.cassandra, self.request.backup)
        opening.remember_begun(tag)
        self.progress.warn(f"schema and tokens are backed up as they are now, not as they were when {tag} was taken")
        return tag, schema

    def _ship(self, opening: Opening, intent: New | Resume, taken: Taken, opened: Opened) -> Report:
        site, request = self.site, self.request
        scope = request.backup if request.mode == "full" else ""
        with open_ledger(site.state, site.bucket, scope) as ledger:
            self.progress.step("comparing with the bucket")
            destination = Destination(
                site.layout,
                site.name,
                request.backup,
                request.mode,
                opened.number,
                opened.condemned.keys,
                self.limits.part_size,
            )
            make_plan(ledger, site.cassandra, taken.tag, site.store, destination)
            if request.filters.is_whole and not ledger.totals().files:
                raise snapshot.empty(taken.tag)
            opening.write_meta(intent, taken)
            announce_started(site, request.backup, opened.number, self.progress)
            if request.mode == "differential":
                DamageReport(site, request.backup, ledger, opened.condemned).tell(opened.begun, self.progress)
            pace = Pace(site, request.backup, opened.deadline)
            pace.check(ledger.unknown_size)
            rotten = self._upload(ledger, destination, pace)
            findings = self._inspect(ledger, opened.number)
            self.progress.step("writing the manifest")
            modified = manifest.commit(site, request.backup, ledger, pace.check)
            self._check_commit(opening, opened, modified)
            if request.filters.is_whole:
                ledger.forget_all_but_plan()
            return Report(request.backup, opened.number, ledger.totals(), 0.0, findings, rotten)

    def _upload(self, ledger: Ledger, destination: Destination, pace: Pace) -> tuple[str, ...]:
        totals = ledger.totals()
        self.progress.begin("uploading what is new", files=totals.files, size=totals.size)
        began = self.site.clock.running()
        try:
            uploader = Uploader(
                self.site.store, ledger, destination, clock=self.site.clock, workers=self.limits.workers
            )
            rotten = uploader.ship(self._reread(totals), self.progress, pace.check)
        finally:
            self.progress.end()
        pace.remember(ledger.totals().new_size, self.site.clock.running() - began)
        return rotten

    def _inspect(self, ledger: Ledger, attempt: int) -> tuple[Finding, ...]:
        corrupt: list[Finding] = []
        odd: list[Finding] = []
        for finding in inspect(ledger):
            found = corrupt if finding.is_corrupt else odd
            if len(found) < MOST_FILES:
                found.append(finding)
        if corrupt:
            files = tuple(CorruptFile(path=each.key, why=each.why) for each in corrupt)
            announce(self.site, self.request.backup, "corrupt", attempt, files)
        return (*corrupt, *odd)

    def _reread(self, totals: Totals) -> Reread:
        """Spread the reading over the days, as if a backup ran once a day: at least one file each time. Or read all."""
        if self.limits.compare_all:
            return Reread(math.inf, totals.files, self.limits.readers)
        days = self.limits.reread_days
        return Reread(self.site.clock.now() - days * _DAY, 1 + int(totals.files / max(1.0, days)), self.limits.readers)

    def _check_commit(self, opening: Opening, opened: Opened, modified: float) -> None:
        """The manifest may have arrived late all the same, after a pause in the middle of the request: then it is void."""
        if modified - opened.begun > self.limits.grace / 2:
            opening.give_up(f"{self.request.backup} was committed too late: purge may have stopped waiting for it")

    def _let_go(self, tag: str) -> None:
        """The backup is good, whatever becomes of its snapshot: what cannot be cleared now is left to the next run."""
        site, left = self.site, Unfinished()
        forget_snapshot(site)
        if not snapshot.is_ours(tag):
            self.progress.step(f"the snapshot {tag} is left as it is")
        elif not self.request.keep_snapshot:
            try:
                site.cassandra.clear_snapshot(tag)
            except BackupError as error:
                left = Unfinished(snapshots=(tag,))
                self.progress.warn(f"the snapshot {tag} is left for the next backup to clear: {error.message}")
        elif not tag.startswith(snapshot.KEPT):
            self.progress.warn(f"the snapshot {tag} is not kept: its backup was begun without --keep-snapshot")
            left = Unfinished(snapshots=(tag,))
        remember_last(site, self.request.backup)
        remember_unfinished(site, left)
