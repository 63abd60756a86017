"""A directory as a bucket: the object key is the path, as stock Medusa's ``local`` provider has it.

A reader sees an object whole or not at all: bytes go into an unfinished file first and reach the disk before the file
gets its name, by ``link`` for a key that must be new and by ``rename`` under a lock for one that is replaced. An answer
means that file and directories survive a power cut. The version of a document is the sha256 of its content: every
document carries a random revision, so equal content is the same write.
"""

from __future__ import annotations

import errno
import hashlib
import itertools
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Protocol

from backupstore.errors import Corrupt, NotFound, Refused, Retryable
from backupstore.ports import Document, Folder, Sink, Source, StoredObject
from backupstore.stores.answers import absent, changed, taken, too_large, wrong_size
from backupstore.stores.keys import check_folder, check_key
from backupstore.stores.local_errors import missing_bucket, translated
from backupstore.stores.local_listing import holds_an_object, scan
from backupstore.stores.local_tree import INCOMING, Part, Parts, Tree, cleared, must_be_free
from backupstore.stores.sources import BytesSource

_PIECE = 1 << 20
_BATCH = 1000
_TRIES = 100
NO_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS})
_NOT_THERE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EISDIR, errno.ENXIO})


class Link(Protocol):
    """The part of ``os.link`` that is used."""

    def __call__(self, src: bytes, dst: bytes, *, src_dir_fd: int, dst_dir_fd: int) -> None:
        """Give the file a second name. FileExistsError when the name is taken."""
        ...


class LocalStore:
    """``ports.ObjectStore`` on ``base``, which is ``base_path/bucket_name``.

    The first write makes ``base`` if the directory above exists. ``link`` and ``sync`` are parameters so that a test
    can be a mount without hard links, and see what is on disk when. From which age on an unfinished file is that of a
    dead writer, the caller of ``sweep_incoming`` decides.
    """

    def __init__(self, base: Path, *, link: Link = os.link, sync: Callable[[int], None] = os.fsync) -> None:
        self._base = base
        self._tree = Tree(base, sync)
        self._link = link

    def exists(self) -> bool:
        """Whether the bucket's directory is there."""
        return self._base.is_dir()

    def make(self) -> None:
        """Make the bucket's directory. NotFound when the directory above it is missing; Denied, NoSpace."""
        with translated("make", self._base.name, self._base), self._tree.made(()):
            pass

    def missing(self) -> NotFound:
        """The error for a bucket that should be there."""
        return missing_bucket(self._base)

    def read(self, key: str, *, limit: int = 64 << 20) -> Document:
        """Return the whole object."""
        with self._opened("read", key) as (handle, facts), translated("read", key, self._base):
            body = b"".join(_pieces(handle, limit + 1))
        if len(body) > limit:
            raise too_large(key, limit)
        return Document(body, hashlib.sha256(body).hexdigest(), facts.st_mtime)

    def read_if_changed(self, key: str, version: str, *, limit: int = 64 << 20) -> Document | None:
        """Return the whole object, unless it is still at that version: it is read to find that out."""
        document = self.read(key, limit=limit)
        return None if document.version == version else document

    def fetch(self, key: str, sink: Sink) -> StoredObject:
        """Stream the object into ``sink``. Corrupt when the file changes meanwhile, as only stock's writes do."""
        taken = 0
        with self._opened("fetch", key) as (handle, facts):
            while True:
                with translated("fetch", key, self._base):
                    piece = os.read(handle, _PIECE)
                if not piece:
                    break
                taken += len(piece)
                sink(piece)
        if taken != facts.st_size:
            raise Corrupt(
                f"fetch {key}: {taken} bytes came, the file had {facts.st_size}",
                hint="Something wrote to the file while it was read. Verify the backup.",
                operation="fetch",
                key=key,
            )
        return StoredObject(key, facts.st_size, facts.st_mtime)

    def head(self, key: str) -> StoredObject:
        """What a listing would show for the key."""
        with self._reading("head", key) as parts:
            facts = self._tree.facts(parts)
        return StoredObject(key, facts.st_size, facts.st_mtime)

    def create(self, key: str, body: bytes) -> StoredObject:
        """Write a small object that is not there yet."""
        return self._create("create", key, BytesSource(body))

    def upload(self, key: str, source: Source) -> StoredObject:
        """Create an object of any size."""
        return self._create("upload", key, source)

    def replace(self, key: str, body: bytes, version: str) -> StoredObject:
        """Write over the version that ``read`` gave."""
        parts = self._parts("replace", key)

        def name(part: Part) -> None:
            with self._tree.locked(parts):
                self._must_be_at(key, version)
                self._name(part, parts, _rename)

        self._must_be_at(key, version)  # not to write for nothing; what counts is asked under the lock
        return self._write("replace", key, BytesSource(body), name)

    def put(self, key: str, body: bytes) -> StoredObject:
        """Write unconditionally."""
        parts = self._parts("put", key)

        def name(part: Part) -> None:
            with self._tree.locked(parts):
                self._name(part, parts, _rename)

        return self._write("put", key, BytesSource(body), name)

    def list(self, folder: str) -> Iterator[StoredObject]:
        """Every object below the folder, sorted by key; one directory at a time is read."""
        return self._walk(check_folder(folder, "list"))

    def entries(self, folder: str) -> Folder:
        """One level only. A directory without an object below it is no folder."""
        check_folder(folder, "entries")
        with translated("entries", folder, self._base):
            found = scan(self._tree, folder)
            folders = [
                entry.key for entry in found if entry.key.endswith("/") and holds_an_object(self._tree, entry.key)
            ]
        return Folder(tuple(folders), tuple(entry for entry in found if not entry.key.endswith("/")))

    def delete(self, keys: Iterable[str]) -> None:
        """Delete exactly these keys, and the directories that become empty."""
        waiting = iter(keys)
        while batch := list(itertools.islice(waiting, _BATCH)):
            paths = [self._parts("delete", key) for key in batch]
            with translated("delete", batch[0], self._base):
                gone = {parts[:-1] for parts in paths if self._unlink(parts)}
                self._tree.prune(gone)

    def sweep_incoming(self, older_than: float) -> int:
        """Remove what killed writers left and nobody has written to since ``older_than`` (epoch seconds)."""
        with translated("sweep", "", self._base):
            return self._tree.sweep(older_than)

    def _parts(self, operation: str, key: str) -> Parts:
        parts = tuple(check_key(key, operation).encode().split(b"/"))
        if parts[: len(INCOMING)] == INCOMING:
            raise Refused(
                f"{operation} {key}: only unfinished files lie there",
                hint="Nothing was touched. Choose another key.",
                operation=operation,
                key=key,
            )
        return parts

    @contextmanager
    def _reading(self, operation: str, key: str) -> Iterator[Parts]:
        with translated(operation, key, self._base):
            try:
                yield self._parts(operation, key)
            except OSError as error:
                if error.errno in _NOT_THERE:
                    raise absent(operation, key) from error
                raise

    @contextmanager
    def _opened(self, operation: str, key: str) -> Iterator[tuple[int, os.stat_result]]:
        with ExitStack() as stack:
            with self._reading(operation, key) as parts:
                opened = stack.enter_context(self._tree.file(parts))
            yield opened  # what the reader does with it is not translated

    def _create(self, operation: str, key: str, source: Source) -> StoredObject:
        parts = self._parts(operation, key)
        if source.size > _PIECE:  # not to copy much for nothing; link decides
            with suppress(NotFound):
                self.head(key)
                raise taken(operation, key)

        def name(part: Part) -> None:
            try:
                self._name(part, parts, self._link_new(parts))
            except FileExistsError as error:
                raise taken(operation, key) from error

        return self._write(operation, key, source, name)

    def _write(self, operation: str, key: str, source: Source, name: Callable[[Part], None]) -> StoredObject:
        with ExitStack() as stack:
            with translated(operation, key, self._base):
                part = stack.enter_context(self._tree.part())
            written = 0
            for chunk in source.chunks():  # what the source raises passes through
                written += len(chunk)
                if written > source.size:
                    break
                with translated(operation, key, self._base):
                    part.write(chunk)
            if written != source.size:
                raise wrong_size(operation, key, source.size)
            with translated(operation, key, self._base):
                self._tree.sync(part.handle)
                name(part)
                facts = os.fstat(part.handle)
        return StoredObject(key, facts.st_size, facts.st_mtime)

    def _name(self, part: Part, parts: Parts, give: Callable[[Part, int, bytes], None]) -> None:
        for _ in range(_TRIES):
            # Not found: a delete has just removed a directory on the way, because it was empty.
            with suppress(FileNotFoundError), self._tree.made(parts[:-1]) as folder:
                try:
                    give(part, folder, parts[-1])
                except (FileExistsError, IsADirectoryError):
                    if not cleared(folder, parts[-1]):
                        raise
                    continue
                self._tree.sync_folder(folder)
                return
        raise Retryable(
            f"write {b'/'.join(parts).decode()}: its directory, or the unfinished file, was removed again and again",
            hint=f"See what else removes files below {self._base}.",
            operation="write",
        )

    def _link_new(self, parts: Parts) -> Callable[[Part, int, bytes], None]:
        def give(part: Part, folder: int, name: bytes) -> None:
            try:
                self._link(part.name, name, src_dir_fd=part.folder, dst_dir_fd=folder)
            except OSError as error:
                if error.errno in NO_LINKS:
                    with self._tree.locked(parts):
                        must_be_free(folder, name)
                        _rename(part, folder, name)
                    return
                if not part.named():
                    raise

        return give

    def _must_be_at(self, key: str, version: str) -> None:
        try:
            current = self.read(key).version
        except NotFound:
            current = ""
        if current != version:
            raise changed(key)

    def _unlink(self, parts: Parts) -> bool:
        try:
            with self._tree.opened(parts[:-1]) as folder:
                if not stat.S_ISREG(os.stat(parts[-1], dir_fd=folder, follow_symlinks=False).st_mode):
                    return False
                with self._tree.locked(parts):  # not between the look and the rename of a replace
                    os.unlink(parts[-1], dir_fd=folder)
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True

    def _walk(self, folder: str) -> Iterator[StoredObject]:
        waiting = [StoredObject(folder, 0, 0.0)]
        while waiting:
            entry = waiting.pop()
            if entry.key and not entry.key.endswith("/"):
                yield entry
                continue
            with translated("list", entry.key, self._base):
                waiting += reversed(scan(self._tree, entry.key))


def _pieces(handle: int, most: int) -> Iterator[bytes]:
    while most > 0 and (piece := os.read(handle, min(most, _PIECE))):
        most -= len(piece)
        yield piece


def _rename(part: Part, folder: int, name: bytes) -> None:
    os.rename(part.name, name, src_dir_fd=part.folder, dst_dir_fd=folder)
