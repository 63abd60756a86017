"""The log file of ``[logging]``: rotated as stock does it, by any number of processes at once, and never a reason to fail.

Python's own rotating handler loses lines when two processes write to one file: the one that did not rotate goes on
writing into the renamed file, and renames it again. Here each line is written under a lock on the open file, after a
look whether the name still belongs to it; whoever rotates holds that lock. So ``serve`` and ``backup`` share a file.
"""

from __future__ import annotations

import fcntl
import logging
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from backupstore.settings import LoggingSettings

_FLAGS = os.O_WRONLY | os.O_APPEND
_MODE = 0o666  # less the umask, as open() has it and so stock


class LogFile(logging.Handler):
    """Writes what ``settings.level`` asks for. What keeps it from writing goes to ``log`` once; nothing is raised."""

    def __init__(self, settings: LoggingSettings, log: logging.Logger) -> None:
        super().__init__(getattr(logging, settings.level))
        self._path = Path.cwd() / settings.file
        self._most = settings.maxbytes
        self._kept = settings.backupcount
        self._log = log
        self._handle: int | None = None
        self._owner: tuple[int, int] | None = None  # of the file before
        self._has_failed = False

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        if self._has_failed:
            return
        try:
            self._write(f"{self.format(record)}\n".encode("utf-8", "backslashreplace"))
        except OSError as error:
            self._has_failed = True
            self.close()
            self._log.warning(
                "no log file: %s: %s; the work goes on without it",
                self._path,
                error.strerror or error,
                extra={"hint": "Check 'file' in the [logging] section of medusa.ini, its directory and its owner."},
            )

    def close(self) -> None:
        """Close the file."""
        handle, self._handle = self._handle, None
        if handle is not None:
            os.close(handle)
        super().close()

    def _write(self, line: bytes) -> None:
        while True:
            with self._locked() as handle:
                facts = os.fstat(handle)
                if not self._is_current(facts):
                    pass  # somebody has rotated: the name is another file's now
                elif self._is_full(facts, len(line)):
                    self._owner = (facts.st_uid, facts.st_gid)
                    self._rotate()
                else:
                    _write_all(handle, line)
                    return
            self._handle = None  # first: a signal in between must not leave us with somebody else's file
            os.close(handle)

    @contextmanager
    def _locked(self) -> Iterator[int]:
        if self._handle is None:
            self._handle = _open(self._path, self._owner)
        handle = self._handle
        with suppress(OSError):  # where nothing can be locked, lines still get through
            fcntl.flock(handle, fcntl.LOCK_EX)
        try:
            yield handle
        finally:
            with suppress(OSError):
                fcntl.flock(handle, fcntl.LOCK_UN)

    def _is_current(self, facts: os.stat_result) -> bool:
        try:
            named = self._path.stat()
        except FileNotFoundError:
            return False
        return (named.st_dev, named.st_ino) == (facts.st_dev, facts.st_ino)

    def _is_full(self, facts: os.stat_result, more: int) -> bool:
        """As in stock: without a size or a number of old files, it grows for ever."""
        rotates = self._most > 0 and self._kept > 0 and stat.S_ISREG(facts.st_mode)
        return rotates and facts.st_size > 0 and facts.st_size + more >= self._most

    def _rotate(self) -> None:
        """The file itself goes last: until then nobody can begin a new one."""
        for number in range(self._kept - 1, 0, -1):
            with suppress(FileNotFoundError):
                self._old(number).replace(self._old(number + 1))
        self._path.replace(self._old(1))

    def _old(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")


def _open(path: Path, owner: tuple[int, int] | None) -> int:
    """Open it, made where missing. What root makes belongs to the old file's owner, or else to the directory's.

    They have to write to it, too. Only a file that is surely new is given away: never what a link leads to.
    """
    with suppress(FileNotFoundError):
        return os.open(path, _FLAGS)
    try:
        handle = os.open(path, _FLAGS | os.O_CREAT | os.O_EXCL, _MODE)
    except FileExistsError:  # made by another process just now, or a link that leads to nothing yet
        return os.open(path, _FLAGS | os.O_CREAT, _MODE)
    if os.geteuid() == 0:
        folder = path.parent.stat()
        os.fchown(handle, *(owner or (folder.st_uid, folder.st_gid)))
    return handle


def _write_all(handle: int, line: bytes) -> None:
    rest = memoryview(line)
    while rest:
        rest = rest[os.write(handle, rest) :]
