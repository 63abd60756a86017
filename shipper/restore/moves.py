"""Moving a node's files aside, placing the new ones, and the way back: renames only, each of which can be repeated.

Nothing is ever renamed over anything else, and nothing old is deleted but by ``drop``. The names in every directory are
on the disk when a function returns: the journal's next phase relies on it.
"""

from __future__ import annotations

import ctypes
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import chain, count
from pathlib import Path

from backupstore.errors import Denied, Refused
from shipper import snapshot
from shipper.restore.places import Place, existing
from shipper.state import disk_error, sync_directory
from shipper.transfer.download import make_directories

_NOT_CASSANDRAS = frozenset({"lost+found"})
_LIBC = ctypes.CDLL(None, use_errno=True)


def prepare(places: Iterable[Place]) -> None:
    """Make the work folders, and directories that are missing. Denied, NoSpace."""
    for place in places:
        with _on_disk(place.work):
            make_directories(existing(place.directory), place.directory, place.owner)
            if os.geteuid() == 0 and place.directory.stat().st_uid != place.owner.uid:
                os.chown(place.directory, place.owner.uid, place.owner.gid)
            for folder in (place.incoming, place.aside):
                folder.mkdir(parents=True, exist_ok=True)
            # Folders made below take the mode of their root: what was readable to a monitoring user stays so.
            place.incoming.chmod(place.directory.stat().st_mode & 0o777)


def flush(places: Iterable[Place]) -> None:
    """Put everything that was written to the places' file systems on the disk. Denied, NoSpace when a disk failed."""
    seen = set()
    for place in places:
        with _on_disk(place.work):
            device = place.work.stat().st_dev
            if device not in seen:
                seen.add(device)
                _sync_file_system(place.work)


def _sync_file_system(path: Path) -> None:
    """Like ``os.sync``, for one file system, and it tells when the disk did not take something."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if _LIBC.syncfs(handle):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
    finally:
        os.close(handle)


def set_aside(places: Iterable[Place]) -> None:
    """Move the old content of every directory into ``aside``. Repeatable."""
    for place in places:
        _move_all(place, place.directory, place.aside)


def empty(places: Iterable[Place]) -> None:
    """Delete the old content of every directory, but for the operator's own snapshots, which go aside. Repeatable."""
    for place in places:
        if place.holds_data:
            _snapshots_aside(place)
        with _on_disk(place.directory):
            for unit in _units(place, place.directory):
                _remove(place.directory / unit)
            sync_directory(place.directory)


def _snapshots_aside(place: Place) -> None:
    with _on_disk(place.directory):
        for kept in sorted(place.directory.glob("*/*/snapshots/*")):
            if not kept.name.startswith(snapshot.OURS):
                target = place.aside / kept.relative_to(place.directory)
                target.parent.mkdir(parents=True, exist_ok=True)
                rename(kept, target)
                sync_directory(target.parent)


def put_in(places: Iterable[Place]) -> None:
    """Move what was downloaded into every directory. Repeatable."""
    for place in places:
        _move_all(place, place.incoming, place.directory)


def take_out(places: Iterable[Place]) -> None:
    """Move the new content, and whatever Cassandra has added to it, out of every directory again. Repeatable."""
    for place in places:
        with _on_disk(place.directory):
            place.out.mkdir(exist_ok=True)
            for unit in _units(place, place.directory):
                # A second attempt to undo may meet a name that the first one has already taken out.
                _remove(place.out / unit)
        _move_all(place, place.directory, place.out)


def put_back(places: Iterable[Place]) -> None:
    """Move the old content back into every directory. Repeatable."""
    for place in places:
        _move_all(place, place.aside, place.directory)


def keep_snapshots(places: Iterable[Place]) -> tuple[str, ...]:
    """Carry the operator's own snapshots over to the restored data, before the old data is dropped. Repeatable.

    A table that the backup does not have gets its directory back for them: Cassandra leaves such a directory alone.
    Returns where they lie now.
    """
    found = []
    for place in places:
        if not place.holds_data or not place.aside.is_dir():
            continue
        with _on_disk(place.aside):
            for old in sorted(place.aside.glob("*/*/snapshots/*")):
                if not old.name.startswith(snapshot.OURS):
                    target = _free_name(place.directory / old.relative_to(place.aside))
                    make_directories(place.directory, target.parent, place.owner)
                    rename(old, target)
                    sync_directory(target.parent)
                    found.append(str(target))
    return tuple(found)


def _free_name(path: Path) -> Path:
    """The restored node may have taken a snapshot of the same name meanwhile."""
    others = (path.with_name(f"{path.name}-before-restore{number}") for number in count(1))
    return next(name for name in chain((path,), others) if not os.path.lexists(name))


def drop(places: Iterable[Place]) -> None:
    """Delete the work folders with everything in them. Repeatable."""
    for place in places:
        with _on_disk(place.work):
            _remove(place.work)


def drop_new(places: Iterable[Place]) -> None:
    """Delete the work folders of a restore that was taken back. Refused while any of them still holds old data."""
    places = tuple(places)
    for place in places:
        if place.aside.is_dir() and any(place.aside.iterdir()):
            raise Refused(
                f"{place.aside} still holds data from before the restore.",
                hint=f"Do not delete it. Stop Cassandra, move what is missing back to {place.directory}, and run"
                " restore-node --undo again.",
                operation="undo",
                key=str(place.aside),
            )
    drop(places)


def rename(source: Path, target: Path) -> None:
    """One rename within a file system: the one way in which a node's files are moved. Nothing is ever renamed over."""
    if os.path.lexists(target):
        raise Refused(
            f"{source} cannot be moved to {target}: something is there.",
            hint="Was Cassandra started while the restore was open? Stop it, compare the two, remove the wrong one, and"
            " run restore-node --undo, or the same command again.",
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


def _move_all(place: Place, source: Path, target: Path) -> None:
    with _on_disk(source):
        units = _units(place, source)
        for unit in units:
            make_directories(target, (target / unit).parent, place.owner)
            rename(source / unit, target / unit)
        folders = {folder / Path(unit).parent for folder in (target, source) for unit in place.only or ()}
        for folder in (target, source, *sorted(each for each in folders if each.is_dir())):
            sync_directory(folder)
        if source != place.directory:
            _remove_empty(folders - {source})


def _units(place: Place, folder: Path) -> list[str]:
    """What is moved as one, below ``folder``: all that the directory holds, or single tables."""
    if place.only is not None:
        return [unit for unit in place.only if os.path.lexists(folder / unit)]
    stays = {*_NOT_CASSANDRAS, *place.keep, place.work.name}
    with os.scandir(folder) as found:
        return sorted(entry.name for entry in found if entry.name not in stays)


def _remove_empty(folders: Iterable[Path]) -> None:
    """Keyspaces of a work folder, once their last table has left them."""
    for folder in folders:
        with suppress(FileNotFoundError, OSError):
            folder.rmdir()


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def _on_disk(path: Path) -> Iterator[None]:
    """Every error of the file system as one of ours."""
    try:
        yield
    except OSError as error:
        failed = Path(os.fsdecode(error.filename)) if error.filename else path
        raise disk_error(error, failed, "restore") from error
