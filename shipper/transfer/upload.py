"""Carrying the plan of a backup out: every file of the snapshot ends in an object that holds its content.

Workers read, hash and send; the main thread asks the ledger and writes to it. A file is read once on its way, and not
at all when device, inode, size and times say that its content is already in the bucket.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from backupstore.core.contents import plain_md5, same_digest
from backupstore.core.etag import etag_like
from backupstore.errors import Conflict, Corrupt, Denied, NotFound, Refused
from backupstore.ports import Clock, ObjectStore, StoredObject
from shipper.progress import Progress
from shipper.transfer.decide import Compare, Decision, Destination, GoBeside, Put, Reuse, decide
from shipper.transfer.ledger import FileRow, Ledger, Shipped
from shipper.transfer.pool import Meter, in_parallel
from shipper.transfer.source import Changed, Digests, FileSource, Seen, unreadable

_BATCH = 500
_TRIES = 4


@dataclass(frozen=True, slots=True)
class Reread:
    """Known files are read again in rotation: those not read since ``before``, at most ``most`` of them in one run.

    ``at_once``: so many at the same time, for to hash costs a core that Cassandra may need.
    """

    before: float
    most: int
    at_once: int = 1


@dataclass(frozen=True, slots=True)
class _Task:
    row: FileRow
    decision: Decision
    content: str | None  # sha256 of the object to compare with, where it is remembered
    read_again: bool


class Uploader:
    """Ships the files of one attempt."""

    def __init__(
        self, store: ObjectStore, ledger: Ledger, destination: Destination, *, clock: Clock, workers: int
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._destination = destination
        self._clock = clock
        self._workers = workers
        self._meter = Meter()
        self._readers = threading.BoundedSemaphore()

    def ship(self, reread: Reread, progress: Progress, check: Callable[[], None]) -> tuple[str, ...]:
        """Ship every pending file of the ledger. Returns paths of files whose disk no longer holds what was shipped.

        ``check`` is called now and then, and raises when it is too late to go on.
        """
        rotten: list[str] = []
        self._readers = threading.BoundedSemaphore(reread.at_once)
        kept = self._clock.running()
        for shipped in in_parallel(
            self._tasks(reread), self._one, workers=self._workers, tick=lambda: self._tell(progress)
        ):
            self._ledger.record(shipped, now=self._clock.now())
            progress.advance(files=1, size=0 if shipped.read else shipped.row.size)
            if shipped.rotten:
                rotten.append(shipped.row.path)
            if self._clock.running() - kept > 1:
                self._ledger.known.keep()
                check()
                kept = self._clock.running()
        self._tell(progress)
        self._ledger.known.keep()
        return tuple(rotten)

    def _tell(self, progress: Progress) -> None:
        moved = self._meter.take()
        if moved:
            progress.advance(files=0, size=moved)

    # --- main thread ---
    def _tasks(self, reread: Reread) -> Iterator[_Task]:
        after, again = 0, reread.most
        while rows := self._ledger.pending(after, _BATCH):
            after = rows[-1].id
            for row in rows:
                task = self._task(row, reread.before if again else 0.0)
                again -= task.read_again
                yield task

    def _task(self, row: FileRow, reread_before: float) -> _Task:
        known = self._ledger.known.get(row.local)
        at_known = self._ledger.stored(known.key) if known else None
        plain = self._destination.plain(row)
        at_plain = at_known if known and known.key == plain else self._ledger.stored(plain)
        decision = decide(row, self._destination, known=known, at_known=at_known, at_plain=at_plain)
        content = self._ledger.known.content_of(decision.object) if isinstance(decision, Compare) else None
        return _Task(row, decision, content, isinstance(decision, Reuse) and decision.known.read_at < reread_before)

    # --- workers ---
    def _one(self, task: _Task) -> Shipped:
        row, decision = task.row, task.decision
        for _ in range(_TRIES):
            try:
                return self._attempt(row, decision, task)
            except Changed:
                row = _look_again(row)
                decision = _decide_again(decision, row.size)
        raise Corrupt(
            f"{row.path} changes while it is read: {_TRIES} readings all differed.",
            hint="A file of a snapshot should never change. Find out what writes to it, check the disk (dmesg), then run"
            " the backup again with the same name.",
            operation="upload",
        )

    def _attempt(self, row: FileRow, decision: Decision, task: _Task) -> Shipped:
        match decision:
            case Reuse(stored, known):
                shipped = Shipped(
                    row,
                    stored,
                    known.sha256,
                    known.crc32,
                    reused=True,
                    read=False,
                    corrupt=known.corrupt,
                    parts=known.parts,
                )
                return self._read_again(shipped) if task.read_again else shipped
            case Put(key):
                return self._put(row, key)
            case Compare(stored):
                return self._compare(row, stored, task.content)
            case GoBeside():
                return self._beside(row, self._source(row).digest())

    def _read_again(self, shipped: Shipped) -> Shipped:
        """Does the disk still hold what was shipped from it long ago? The object does, whatever the answer."""
        try:
            with self._readers:
                digests = self._source(shipped.row).digest()
        except Corrupt:
            return shipped._replace(rotten=True)
        if digests.sha256 != shipped.sha256:
            return shipped._replace(rotten=True)
        return shipped._replace(read=True)

    def _put(self, row: FileRow, key: str) -> Shipped:
        source = self._source(row)
        try:
            stored = self._store.upload(key, source)
        except Conflict:
            # There after our listing: an answer that got lost, stock, or an earlier attempt that still lives.
            return self._compare(row, self._store.head(key), None)
        digests = source.taken()
        return Shipped(row, stored, digests.sha256, digests.crc32, reused=False, read=True)

    def _compare(self, row: FileRow, stored: StoredObject, content: str | None) -> Shipped:
        source = self._source(row, md5=content is None and plain_md5(stored.digest) is not None)
        parts = etag_like(stored.digest, row.size, self._destination.part_size) if content is None else None
        source.also = parts.update if parts else None
        digests = source.digest()
        if (parts and parts.hexdigest() == stored.digest) or self._holds(stored, row.size, digests, content):
            return Shipped(row, stored, digests.sha256, digests.crc32, reused=True, read=True)
        return self._beside(row, digests)

    def _holds(self, stored: StoredObject, size: int, digests: Digests, content: str | None = None) -> bool:
        if stored.size != size:
            return False
        if content is not None:
            return content == digests.sha256
        if digests.md5 is not None and stored.digest is not None and plain_md5(stored.digest) is not None:
            if same_digest(digests.md5, stored.digest):
                return True
            if not self._store.head(stored.key).opaque:
                return False
        # The store's own digest says nothing we can compute: read the object, once; from now on it is remembered.
        sha = hashlib.sha256()
        self._store.fetch(stored.key, sha.update)
        return sha.hexdigest() == digests.sha256

    def _beside(self, row: FileRow, digests: Digests) -> Shipped:
        if self._destination.mode == "full":
            raise Refused(
                f"{self._destination.plain(row)} holds other content than {row.path}: this backup cannot be finished.",
                hint="Run the backup again with a new name.",
                operation="upload",
                key=self._destination.plain(row),
            )
        for key in self._destination.versioned(row, digests.sha256):
            stored = self._at(key)
            if stored is None:
                try:
                    stored = self._store.upload(key, self._source(row, sha256=digests.sha256))
                except Conflict:
                    stored = self._store.head(key)
                else:
                    return Shipped(row, stored, digests.sha256, digests.crc32, reused=False, read=True)
            if self._holds(stored, row.size, digests):
                return Shipped(row, stored, digests.sha256, digests.crc32, reused=True, read=True)
        raise Corrupt(
            f"{key} holds other content than its name says.",
            hint="Somebody else writes to this node's folder. Find out who; then run the backup again.",
            operation="upload",
            key=key,
        )

    def _at(self, key: str) -> StoredObject | None:
        try:
            return self._store.head(key)
        except (NotFound, Denied):  # who may not list the bucket is told that an absent object is forbidden
            return None

    def _source(self, row: FileRow, *, md5: bool = False, sha256: str | None = None) -> _Metered:
        return _Metered(row, self._meter, md5=md5, sha256=sha256)


class _Metered(FileSource):
    """A file whose bytes are counted for the progress display; ``also``: whoever wants to see them, too."""

    def __init__(self, row: FileRow, meter: Meter, *, md5: bool, sha256: str | None) -> None:
        super().__init__(Path(row.path), Seen(row.size, row.mtime_ns, row.inode), md5=md5, sha256=sha256)
        self._meter = meter
        self.also: Callable[[bytes], None] | None = None

    def _pieces(self) -> Iterator[bytes]:
        for piece in super()._pieces():
            self._meter.add(len(piece))
            if self.also:
                self.also(piece)
            yield piece


def _look_again(row: FileRow) -> FileRow:
    try:
        status = Path(row.path).stat(follow_symlinks=False)
    except OSError as error:
        raise unreadable(Path(row.path), error) from error
    seen = Seen.of(status)
    return row._replace(device=status.st_dev, inode=seen.inode, size=seen.size, mtime_ns=seen.mtime_ns)


def _decide_again(decision: Decision, size: int) -> Decision:
    """The file is another one than the plan saw: what was remembered of it is worth nothing."""
    if isinstance(decision, (Reuse, Compare)):
        return Compare(decision.object) if decision.object.size == size else GoBeside()
    return decision
