"""Moving a node's files aside, placing the new ones, and the way back: renames only, each of which can be repeated.

Every directory that Cassandra owns (data directories, commit log, hints, saved caches, cdc) has a *work folder* on the
same file system: a hidden sibling, or, when the directory is a mount point, a hidden folder inside it.

    <work>/incoming   what was downloaded, laid out as it will lie in the data directory
    <work>/aside      the old content of the directory
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from backupstore.errors import Denied, Refused
from shipper import snapshot
from shipper.state import disk_error, sync_directory
from shipper.transfer.download import Owner, make_directories

WORK = ".medusa-shipper-restore"
_NOT_CASSANDRAS = frozenset({"lost+found"})


@dataclass(frozen=True, slots=True)
class Place:
    """One directory of the node and its work folder. ``holds_data``: it is a data directory."""

    directory: Path
    work: Path
    holds_data: bool

    @property
    def owner(self) -> Owner:
        """Who the directory belongs to, and so shall everything in it."""
        status = self.directory.stat()
        return Owner(status.st_uid, status.st_gid)

    @property
    def incoming(self) -> Path:
        """What was downloaded for it."""
        return self.work / "incoming"

    @property
    def aside(self) -> Path:
        """Its old content."""
        return self.work / "aside"


def place_of(directory: Path, *, holds_data: bool) -> Place:
    """Choose the work folder: beside the directory when that is the same file system, else inside it."""
    real = directory.resolve()
    beside = real.parent / f"{WORK}-{real.name}"
    try:
        same = real.parent.stat().st_dev == real.stat().st_dev
    except FileNotFoundError:
        same = True
    return Place(real, beside if same else real / WORK, holds_data)


def prepare(places: Iterable[Place]) -> None:
    """Make the work folders, and thereby find out that we may. Denied, NoSpace."""
    for place in places:
        try:
            place.directory.mkdir(parents=True, exist_ok=True)
            for folder in (place.incoming, place.aside):
                folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        except OSError as error:
            raise disk_error(error, place.work, "restore") from error


def set_aside(places: Iterable[Place]) -> None:
    """Move the old content of every directory into ``aside``. Repeatable."""
    for place in places:
        _move_all(place.directory, place.aside, but=place.work.name)


def put_in(places: Iterable[Place]) -> None:
    """Move what was downloaded into every directory. Repeatable."""
    for place in places:
        _move_all(place.incoming, place.directory)


def take_out(places: Iterable[Place]) -> None:
    """Move the new content, and whatever Cassandra has added to it, out of every directory again. Repeatable."""
    for place in places:
        out = place.work / "out"
        out.mkdir(exist_ok=True)
        for entry in _entries(place.directory, but=place.work.name):
            # A second attempt to undo may meet a name that the first one has already taken out.
            _remove(out / entry.name)
            rename(entry, out / entry.name)
        sync_directory(place.directory)


def put_back(places: Iterable[Place]) -> None:
    """Move the old content back into every directory. Repeatable."""
    for place in places:
        _move_all(place.aside, place.directory)


def keep_snapshots(places: Iterable[Place]) -> None:
    """Carry the snapshots that the operator has made over to the restored data, before the old data is dropped. Repeatable.

    A table that the backup does not have gets its directory back for them: Cassandra leaves such a directory alone.
    """
    for place in places:
        if place.holds_data and place.aside.is_dir():
            for kept in sorted(place.aside.glob("*/*/snapshots/*")):
                if not kept.name.startswith(snapshot.OURS):
                    target = place.directory / kept.relative_to(place.aside)
                    make_directories(place.directory, target.parent, place.owner)
                    rename(kept, target)


def drop(places: Iterable[Place]) -> None:
    """Delete the work folders with everything in them. Repeatable."""
    for place in places:
        _remove(place.work)


def rename(source: Path, target: Path) -> None:
    """One rename within a file system: the one way in which a node's files are moved. Nothing is ever renamed over."""
    if os.path.lexists(target):
        raise Refused(
            f"{source} cannot be moved to {target}: something is there.",
            hint="Was Cassandra started while the restore was open? Stop it, compare the two, remove the one that is wrong,"
            " and run the same command again.",
            operation="restore",
        )
    try:
        source.rename(target)
    except OSError as error:
        raise Denied(
            f"{source} cannot be moved to {target}: {error.strerror}.",
            hint="Nothing is lost. Remove the obstacle and run the same command again, or run restore-node --undo.",
            operation="restore",
        ) from error


def _move_all(source: Path, target: Path, *, but: str | None = None) -> None:
    for entry in _entries(source, but=but):
        rename(entry, target / entry.name)
    for folder in (source, target):
        sync_directory(folder)


def _entries(folder: Path, *, but: str | None = None) -> Iterator[Path]:
    with os.scandir(folder) as found:
        yield from sorted(Path(e.path) for e in found if e.name != but and e.name not in _NOT_CASSANDRAS)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
