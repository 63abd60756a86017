"""Fetching the files of a plan into directories, every digest checked before a file gets its name.

A file is written beside its place as ``.<name>.part`` and renamed only when its bytes are what the manifest says, so
that whatever carries its real name is whole: a killed download goes on where it was.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from backupstore.core.contents import UNUSABLE, Check
from backupstore.errors import BackupError, Corrupt, NotFound
from backupstore.ports import ObjectStore
from shipper.progress import Progress
from shipper.state import disk_error
from shipper.transfer.fetch_plan import FetchPlan, Wanted
from shipper.transfer.pool import Meter, in_parallel


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
        check = _check(file)
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
                    hint=UNUSABLE,
                    operation="download",
                    key=file.key,
                ) from error
        check.finish(opaque=fetched.opaque)


def _check(file: Wanted) -> Check:
    return Check(file.key, size=file.size, sha256=file.sha256, md5=file.md5)


def _is_whole(path: Path, file: Wanted) -> bool:
    check = _check(file)
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
