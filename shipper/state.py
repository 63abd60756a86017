"""What the shipper remembers on the node: its lock, who the node is, unfinished backups, the known files' database.

Everything here can be lost: the next backup then reads all files once more, and finds its unfinished attempts by
listing. Small files are replaced atomically and fsynced, because a restore's journal lies beside them.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from backupstore.errors import Denied, NoSpace, Refused


class StateDirectory:
    """``[shipper] state_dir``, mode 0700.

    Backups run as Cassandra's user and restores as root, who may be the first to come: what root makes here belongs to
    the owner of ``beside``, a data directory, so that both can use it.
    """

    def __init__(self, path: Path, beside: Path | None = None) -> None:
        self.path = path
        self._beside = beside

    def prepare(self) -> None:
        """Make the directory. Denied when that is not allowed."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileExistsError):
                self.path.mkdir(mode=0o700)
                if self._beside is not None and self._beside.exists():
                    give_away(self.path, self._beside)
        except OSError as error:
            raise Denied(
                f"The state directory {self.path} cannot be made: {error.strerror}.",
                hint="Run as Cassandra's user and give it that directory, or set state_dir in the [shipper] section.",
                operation="state",
            ) from error

    @property
    def known_files(self) -> Path:
        """The database of files whose content has been read and shipped."""
        return self.path / "known-files.sqlite"

    @property
    def plan(self) -> Path:
        """The plan of the transfer that is running."""
        return self.path / "plan.sqlite"

    @property
    def spool(self) -> Path:
        """Where a manifest is put together before it is sent."""
        return self.path / "manifest.spool"

    @property
    def journal(self) -> Path:
        """The journal of a restore that is not over."""
        return self.path / "restore.json"

    @contextmanager
    def locked(self, verb: str, lock: str = "lock") -> Iterator[None]:
        """Hold the node's lock, so that one backup or restore runs at a time. Refused when another holds it.

        ``lock``: the file; programs that are there once, and run backups and restores themselves, have one of their own.
        """
        self.prepare()
        handle = self._open_lock(lock)
        try:
            self._take(handle)
            os.ftruncate(handle, 0)
            os.pwrite(handle, f"{verb}, process {os.getpid()}\n".encode(), 0)
            yield
            # Whoever comes between two holders must not be told the name of one that is gone.
            os.ftruncate(handle, 0)
        finally:
            os.close(handle)

    def _open_lock(self, lock: str) -> int:
        try:
            handle = os.open(self.path / lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            give_away(handle, self.path)
        except OSError as error:
            raise Denied(
                f"The lock file in {self.path} cannot be opened: {error.strerror}.",
                hint="Run as the user that owns the state directory, or as root.",
                operation="lock",
            ) from error
        return handle

    def _take(self, handle: int) -> None:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(handle, 200, 0).decode("utf-8", "replace").strip() or "another medusa-shipper"
            raise Refused(
                f"This node is busy: {holder} is running.",
                hint="Wait until it ends; if it hangs, end that process and run the same command again.",
                operation="lock",
            ) from error
        except OSError as error:
            raise Denied(
                f"The lock file in {self.path} cannot be locked: {error.strerror}.",
                hint="Set state_dir in the [shipper] section to a directory on a local disk.",
                operation="lock",
            ) from error

    def read(self, name: str) -> dict[str, Any]:
        """A small remembered value; empty when there is none or it cannot be read, for losing it is allowed."""
        try:
            value = json.loads((self.path / f"{name}.json").read_bytes())
        except (OSError, ValueError, RecursionError):
            return {}
        return value if isinstance(value, dict) else {}

    def write(self, name: str, value: dict[str, Any]) -> None:
        """Remember a small value, durably."""
        replace_file(self.path / f"{name}.json", json.dumps(value, indent=1).encode())

    def forget(self, name: str) -> None:
        """Drop a small value, durably."""
        path = self.path / f"{name}.json"
        try:
            with suppress(FileNotFoundError):
                path.unlink()
            sync_directory(self.path)
        except OSError as error:
            raise disk_error(error, path, "state") from error


def replace_file(path: Path, body: bytes) -> None:
    """Write a file so that after a crash it is the old one or the new one, whole. NoSpace, Denied."""
    fresh = path.with_name(path.name + ".new")
    try:
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            give_away(handle, path.parent)
            view = memoryview(body)
            while view:
                view = view[os.write(handle, view) :]
            os.fsync(handle)
        finally:
            os.close(handle)
        fresh.replace(path)
        sync_directory(path.parent)
    except OSError as error:
        raise disk_error(error, path, "state") from error


def give_away(path: Path | int, like: Path) -> None:
    """Give a file, or its handle, to the owner of ``like``, where we are root and may."""
    if os.geteuid() == 0:
        status = like.stat()
        os.chown(path, status.st_uid, status.st_gid)


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def disk_error(error: OSError, path: Path, operation: str) -> NoSpace | Denied:
    """Our error for a local disk that refuses a write."""
    if error.errno in _FULL:
        return no_space(path, operation)
    return Denied(
        f"{path} cannot be written: {error.strerror}.",
        hint=f"Check the owner and mode of {path.parent}, and that its file system is not read-only.",
        operation=operation,
    )


def no_space(path: Path, operation: str) -> NoSpace:
    """The file system of a path is full."""
    return NoSpace(
        f"No space left while writing {path}.",
        hint=f"Free space on the file system of {path.parent}, then run the same command again.",
        operation=operation,
    )
