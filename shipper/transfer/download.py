"""Fetching the files of a plan into directories, every digest checked before a file gets its name.

A file is written beside its place as ``.<name>.part`` and renamed only when its bytes are what the manifest says, so
that whatever carries its real name is whole: a killed download goes on where it was.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from backupstore.errors import BackupError, Corrupt, NotFound
from backupstore.ports import ObjectStore
from shipper.progress import Progress
from shipper.state import disk_error
from shipper.transfer.fetch_plan import FetchPlan, Wanted
from shipper.transfer.pool import Meter, in_parallel

_HEX = re.compile(r"[0-9a-fA-F]{32}")
_BASE64 = re.compile(r"[0-9A-Za-z+/]{22}==")
_HINT = "This backup cannot be restored whole. Choose another one (list-backups), and run verify on this."


@dataclass(frozen=True, slots=True)
class Owner:
    """Who the files shall belong to."""

    uid: int
    gid: int


class Downloader:
    """Fetches into ``root(disk)``; ``owner(disk)`` says who gets the files, None where they stay ours."""

    def __init__(
        self,
        store: ObjectStore,
        root: Callable[[int], Path],
        *,
        workers: int,
        owner: Callable[[int], Owner | None] = lambda _: None,
    ) -> None:
        self._store = store
        self._root = root
        self._owner = owner
        self._workers = workers
        self._meter = Meter()

    def fetch(self, plan: FetchPlan, progress: Progress, *, trust_present: bool) -> None:
        """Fetch every file. ``trust_present``: a file that has its name was checked by this very boot of the machine."""
        files, size, _ = plan.totals()
        progress.begin("downloading", files=files, size=size)
        try:
            for _ in in_parallel(
                plan.files(),
                lambda file: self._one(file, trust_present=trust_present),
                workers=self._workers,
                tick=lambda: self._tell(progress),
            ):
                progress.advance(files=1, size=0)
            self._tell(progress)
        finally:
            progress.end()

    def _tell(self, progress: Progress) -> None:
        moved = self._meter.take()
        if moved:
            progress.advance(files=0, size=moved)

    def _one(self, file: Wanted, *, trust_present: bool) -> None:
        target = self._root(file.disk) / file.relative
        if target.exists() and (trust_present or _is_whole(target, file)):
            self._meter.add(file.size)
            return
        part = target.with_name(f".{target.name}.part")
        owner = self._owner(file.disk)
        try:
            make_directories(self._root(file.disk), target.parent, owner)
            self._receive(file, part, owner)
            part.rename(target)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise disk_error(error, target, "download") from error
        except BackupError:
            part.unlink(missing_ok=True)
            raise

    def _receive(self, file: Wanted, part: Path, owner: Owner | None) -> None:
        check = Check(file)
        part.unlink(missing_ok=True)  # of a killed run, or a link that somebody laid for us
        with part.open("xb", buffering=0) as out:
            if owner:
                os.fchown(out.fileno(), owner.uid, owner.gid)

            def sink(piece: bytes) -> None:
                check.take(piece)
                view = memoryview(piece)
                while view:
                    view = view[out.write(view) :]
                self._meter.add(len(piece))

            try:
                fetched = self._store.fetch(file.key, sink)
            except NotFound as error:
                raise Corrupt(
                    f"The backup's file {file.key} is missing in the bucket.",
                    hint=_HINT,
                    operation="download",
                    key=file.key,
                ) from error
        check.finish(opaque=fetched.opaque)


class Check:
    """Compares the bytes of one file with what the manifest says of them, on the way.

    Ours is the sha256. Stock's manifests have the provider's MD5 only: in hex on S3, where that of an object in several
    parts is none, nor that of one encrypted with a key from elsewhere, which the store has to say (``opaque``); in base64
    on Google Cloud, nothing on a local bucket. Where there is none the size has to do.
    """

    def __init__(self, file: Wanted) -> None:
        self._file = file
        self._size = 0
        self._sha = hashlib.sha256() if file.sha256 else None
        self._wanted_md5 = None if file.sha256 else plain_md5(file.md5)
        self._md5 = hashlib.md5(usedforsecurity=False) if self._wanted_md5 else None

    def take(self, piece: bytes) -> None:
        """Some more bytes. Corrupt as soon as there are too many."""
        self._size += len(piece)
        if self._size > self._file.size:
            raise self._bad(f"it is larger than the {self._file.size} bytes that the manifest says")
        if self._sha:
            self._sha.update(piece)
        if self._md5:
            self._md5.update(piece)

    def finish(self, *, opaque: bool = False) -> None:
        """The end. Corrupt when the bytes are not what was backed up."""
        if self._size != self._file.size:
            raise self._bad(f"it has {self._size} bytes and the manifest says {self._file.size}")
        if self._sha and self._sha.hexdigest() != self._file.sha256:
            raise self._bad("its content is not what was backed up (sha256)")
        if self._md5 and not opaque and self._md5.digest() != self._wanted_md5:
            raise self._bad("its content is not what was backed up (MD5)")

    def _bad(self, why: str) -> Corrupt:
        return Corrupt(f"{self._file.key} is damaged: {why}.", hint=_HINT, operation="download", key=self._file.key)


def plain_md5(text: str | None) -> bytes | None:
    """The MD5 that a provider's digest says; None where it says none, as for an object that was sent in parts."""
    if text and _HEX.fullmatch(text):
        return bytes.fromhex(text)
    if text and _BASE64.fullmatch(text):
        try:
            return base64.b64decode(text, validate=True)
        except binascii.Error:
            return None
    return None


def _is_whole(path: Path, file: Wanted) -> bool:
    check = Check(file)
    try:
        with path.open("rb") as source:
            while piece := source.read(1 << 20):
                check.take(piece)
        check.finish()
    except (OSError, Corrupt):
        return False
    return True


def make_directories(root: Path, folder: Path, owner: Owner | None) -> None:
    """Make the directories from ``root`` down to ``folder``, with its mode, each given to the owner."""
    missing = []
    while folder != root and not folder.is_dir():
        missing.append(folder)
        folder = folder.parent
    mode = root.stat().st_mode & 0o777 if missing else 0
    for path in reversed(missing):
        path.mkdir(exist_ok=True)
        path.chmod(mode)
        if owner:
            os.chown(path, owner.uid, owner.gid)
