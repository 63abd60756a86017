"""Where contestants meet: servers, directories and files, made when a row first needs them, gone at the end.

Everything lies below one temporary directory, on the disk that ``TMPDIR`` names.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from benchmarks import files as made
from benchmarks.contestants import BUCKET, Contestant, Place
from benchmarks.files import Files
from benchmarks.measuring import Failed, Run, run
from tests.harness.s3_servers import versitygw

_MAKERS: dict[str, Callable[[Path], Files]] = {
    "large": made.large,
    "small": made.small,
    "few": made.few,
    "tiny": made.tiny,
    "many": made.many,
}


class Arena:
    """One run of the benchmark. ``stack`` ends what was begun."""

    def __init__(self, base: Path, stack: ExitStack) -> None:
        self.base = base
        self._stack = stack
        self._places: dict[str, Place] = {}
        self._files: dict[str, Files] = {}
        self._kept: dict[tuple[str, str, str], str] = {}
        self._turn = 0

    def place(self, name: str) -> Place:
        """``s3``, ``tls`` or ``local``."""
        if name not in self._places:
            work = self.base / name
            work.mkdir()
            self._places[name] = self._local(work) if name == "local" else self._remote(work, tls=name == "tls")
        return self._places[name]

    def files(self, name: str) -> Files:
        """``large``, ``small``, ``few``, ``tiny`` or ``many``."""
        if name not in self._files:
            folder = self.base / f"node-{name}"
            folder.mkdir()
            self._files[name] = _MAKERS[name](folder / "data1")
        return self._files[name]

    def up(self, contestant: Contestant, place: str, files: str) -> Run:
        """Ship all files into an empty part of the bucket; it is kept, and the one before it is not."""
        self._turn += 1
        part, where, what = f"{contestant.name}{self._turn}", self.place(place), self.files(files)
        done = self._run(contestant, where, contestant.up(where, what, part))
        _check_count(where.bucket / part, what.count)
        before = self._kept.get((contestant.name, place, files))
        if before is not None:
            shutil.rmtree(where.bucket / before)
        self._kept[contestant.name, place, files] = part
        return done

    def again(self, contestant: Contestant, place: str, files: str) -> Run:
        """Ship the same files into the part that holds them."""
        part = self._part(contestant, place, files)
        self._turn += 1
        where = self.place(place)
        return self._run(contestant, where, contestant.again(where, self.files(files), part, self._turn))

    def down(self, contestant: Contestant, place: str, files: str) -> Run:
        """Fetch all files into an empty directory."""
        part = self._part(contestant, place, files)
        where, destination = self.place(place), self.base / "fetched"
        destination.mkdir()
        try:
            done = self._run(contestant, where, contestant.down(where, part, destination))
            _check_count(destination, self.files(files).count)
        finally:
            shutil.rmtree(destination)
        return done

    def forget(self, place: str, files: str) -> None:
        """Make space: nobody needs these any more."""
        for key in [key for key in self._kept if key[1:] == (place, files)]:
            shutil.rmtree(self.place(place).bucket / self._kept.pop(key), ignore_errors=True)

    def _part(self, contestant: Contestant, place: str, files: str) -> str:
        if (contestant.name, place, files) not in self._kept:
            self.up(contestant, place, files)
        return self._kept[contestant.name, place, files]

    def _run(self, contestant: Contestant, where: Place, command: list[str]) -> Run:
        return run(command, log=where.work / "log", environment=contestant.environment(where))

    def _remote(self, work: Path, *, tls: bool) -> Place:
        folder = work / "server"
        folder.mkdir()
        server = self._stack.enter_context(versitygw(folder, tls=tls))
        server.bucket(BUCKET)
        return Place(work, folder / "data" / BUCKET, server)

    def _local(self, work: Path) -> Place:
        bucket = work / "buckets" / BUCKET
        bucket.mkdir(parents=True)
        return Place(work, bucket)


def _check_count(folder: Path, least: int) -> None:
    """Whoever did less than the others did not win."""
    count = sum(1 for path in folder.rglob("*") if path.is_file())
    if count < least:
        raise Failed(f"{count} of {least} files came to {folder}")
