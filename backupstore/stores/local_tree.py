"""The directories below a bucket: found without following a symbolic link, made durably, removed when empty.

Every path is walked part by part with directory handles, so that nothing outside the bucket is ever reached, not even
when somebody swaps a directory for a link meanwhile. Lets OSError out; ``LocalStore`` translates.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import secrets
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from backupstore.errors import NotFound
from backupstore.stores.local_errors import missing_bucket
from backupstore.stores.local_syncs import FolderSyncs

Parts = tuple[bytes, ...]

# Unfinished files and locks lie here: below index/ but in no folder of it that stock Medusa lists.
INCOMING: Parts = (b"index", b".incoming")

_PART = ".part"
_OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK  # nonblocking: a FIFO must not hang us
_REMEMBERED = 4096


@dataclass(frozen=True, slots=True)
class Part:
    """An unfinished file: its name in the open directory ``folder``, and its own handle."""

    folder: int
    name: bytes
    handle: int

    def write(self, chunk: bytes) -> None:
        """Append all of it; the kernel may take less at a time."""
        rest = memoryview(chunk)
        while rest:
            rest = rest[os.write(self.handle, rest) :]

    def named(self) -> bool:
        """Whether a link that failed was made all the same: NFS sends it again when the answer is lost."""
        return os.stat(self.name, dir_fd=self.folder).st_nlink > 1


class Tree:
    """The directories of one bucket."""

    def __init__(self, base: Path, sync: Callable[[int], None]) -> None:
        self._base = base
        self._root_name = os.fsencode(base)
        self.sync = sync
        self._syncs = FolderSyncs(sync)
        # Directories whose way down from the root is known to be on disk, with device and inode: one that another
        # process removed and made again is synced again. (Not if it got the same inode number; the other process
        # then still syncs it before it answers, so only a power cut in that moment could tell.)
        self._durable: dict[Parts, tuple[int, int]] = {}
        # A bucket that was there and is not any more is a mount that went: nothing may be made in its place.
        self._was_there = False

    def sync_folder(self, handle: int) -> None:
        """See on disk what was done to this directory before the call."""
        facts = os.fstat(handle)
        self._syncs.sync((facts.st_dev, facts.st_ino), handle)

    @contextmanager
    def opened(self, parts: Parts) -> Iterator[int]:
        """A handle of an existing directory."""
        handle = self._root()
        try:
            for part in parts:
                # Named before the one above is closed: a signal in between must not have it closed a second time.
                above, handle = handle, os.open(part, _OPEN_FOLDER, dir_fd=handle)
                os.close(above)
            yield handle
        finally:
            os.close(handle)

    @contextmanager
    def made(self, parts: Parts) -> Iterator[int]:
        """A handle of a directory that is made where missing, and survives a power cut from then on.

        FileNotFoundError when somebody removes one of the directories meanwhile: ask again.
        """
        handle = self._known(parts)
        if handle is None:
            handle = self._walked(parts)
        try:
            yield handle
        finally:
            os.close(handle)

    def facts(self, parts: Parts) -> os.stat_result:
        """What the file system says of an object. FileNotFoundError for anything that is not a plain file."""
        with self.opened(parts[:-1]) as folder:
            return _plain(os.stat(parts[-1], dir_fd=folder, follow_symlinks=False))

    @contextmanager
    def file(self, parts: Parts) -> Iterator[tuple[int, os.stat_result]]:
        """An existing object, opened for reading. FileNotFoundError for anything that is not a plain file."""
        with self.opened(parts[:-1]) as folder:
            handle = os.open(parts[-1], _OPEN_FILE, dir_fd=folder)
        try:
            yield handle, _plain(os.fstat(handle))
        finally:
            os.close(handle)

    @contextmanager
    def part(self) -> Iterator[Part]:
        """A new unfinished file; gone at the end unless it was given a name."""
        with self.made(INCOMING) as folder:
            name = f"{secrets.token_hex(16)}{_PART}".encode()
            # Mode as open() has it: the umask decides who reads a backup, as with stock's files.
            handle = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666, dir_fd=folder)
            try:
                yield Part(folder, name, handle)
            finally:
                os.close(handle)
                with suppress(OSError):  # named, swept, or left for the next sweep
                    os.unlink(name, dir_fd=folder)

    @contextmanager
    def locked(self, parts: Parts) -> Iterator[None]:
        """Keep other threads, processes and (NFS) machines from replacing or deleting this key.

        One of 256 lock files by the key's hash, which are never deleted: their number must not grow with the bucket.
        """
        name = b"lock-%02x" % hashlib.sha256(b"/".join(parts)).digest()[0]
        with self.made(INCOMING) as folder:
            handle = os.open(name, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666, dir_fd=folder)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def prune(self, folders: Iterable[Parts]) -> None:
        """Remove what of these directories is empty, upwards; make durable what was removed from those that stay.

        A writer that finds its directory gone makes it again, so nothing is lost by being quick here.
        """
        waiting = set(folders)
        while waiting:
            parts = max(waiting, key=len)
            waiting.remove(parts)
            with suppress(FileNotFoundError):
                if parts and self._remove(parts):
                    self._durable.pop(parts, None)
                    waiting.add(parts[:-1])
                    continue
                with self.opened(parts) as handle:
                    self.sync(handle)

    def sweep(self, older_than: float) -> int:
        """Remove unfinished files not written to since then (epoch seconds). Says how many."""
        swept = 0
        with suppress(FileNotFoundError), self.opened(INCOMING) as folder, os.scandir(folder) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):
                    if entry.name.endswith(_PART) and entry.stat(follow_symlinks=False).st_mtime < older_than:
                        os.unlink(entry.name, dir_fd=folder)
                        swept += 1
        return swept

    def _remove(self, parts: Parts) -> bool:
        try:
            with self.opened(parts[:-1]) as above:
                os.rmdir(parts[-1], dir_fd=above)
        except FileNotFoundError:
            return True
        except OSError:  # not empty; or may not be removed, which harms nobody
            return False
        return True

    def _known(self, parts: Parts) -> int | None:
        """A handle of a directory that was reached part by part before, and is still the very one."""
        identity = self._durable.get(parts)
        if identity is None:
            return None
        try:
            handle = os.open(b"/".join((self._root_name, *parts)), _OPEN_FOLDER)
        except OSError:
            return None
        facts = os.fstat(handle)
        if (facts.st_dev, facts.st_ino) == identity:
            return handle
        os.close(handle)
        return None

    def _walked(self, parts: Parts) -> int:
        handle, depth = self._made_root(), 0
        try:
            while depth < len(parts):
                above, handle = handle, self._made_below(handle, parts[: depth + 1])
                depth += 1
                os.close(above)
        finally:
            if depth < len(parts):
                os.close(handle)
        return handle

    def _made_below(self, above: int, parts: Parts) -> int:
        name, made = parts[-1], False
        try:
            child = os.open(name, _OPEN_FOLDER, dir_fd=above)
        except FileNotFoundError:
            with suppress(FileExistsError):
                os.mkdir(name, dir_fd=above)
            child, made = os.open(name, _OPEN_FOLDER, dir_fd=above), True
        with ExitStack() as failing:
            failing.callback(os.close, child)
            self._settle(parts, above, child, made=made)
            failing.pop_all()
        return child

    def _settle(self, parts: Parts, above: int, handle: int, *, made: bool) -> None:
        facts = os.fstat(handle)
        identity = (facts.st_dev, facts.st_ino)
        if made or self._durable.get(parts) != identity:
            self.sync(above)
            if len(self._durable) >= _REMEMBERED:
                self._durable.clear()
            self._durable[parts] = identity

    def _root(self) -> int:
        try:
            handle = os.open(self._base, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError as error:
            raise missing_bucket(self._base) from error
        self._was_there = True
        return handle

    def _made_root(self) -> int:
        if self._was_there:
            return self._root()
        with suppress(NotFound):
            return self._root()
        try:
            above = os.open(self._base.parent, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError as error:
            raise missing_bucket(self._base) from error
        try:
            with suppress(FileExistsError):
                os.mkdir(self._base.name, dir_fd=above)
            self.sync(above)
        finally:
            os.close(above)
        return self._root()


def must_be_free(folder: int, name: bytes) -> None:
    """FileExistsError when the name is taken."""
    with suppress(FileNotFoundError):
        os.stat(name, dir_fd=folder, follow_symlinks=False)
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))


def cleared(folder: int, name: bytes) -> bool:
    """A directory that has the object's name is removed if empty, as stock leaves them; OSError if it is not."""
    if not stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
        return False
    os.rmdir(name, dir_fd=folder)
    return True


def _plain(facts: os.stat_result) -> os.stat_result:
    if not stat.S_ISREG(facts.st_mode):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    return facts
