"""Where a restore works: each directory that Cassandra owns, and its *work folder* on the same file system.

The work folder is a hidden sibling of the directory where that is possible, for then Cassandra never sees it. Where
the directory is a mount point, or its parent belongs to somebody else, it is a hidden folder inside the directory.

    <work>/backups/incoming   what was downloaded, laid out as it will lie in the data directory
    <work>/backups/aside      the old content of the directory
    <work>/backups/out        restored content that an undo has taken out again

Cassandra looks through the whole of its data directories when it starts, and refuses to start when it finds an SSTable
of a version that it does not know, as the old ones are after a failed upgrade. It does not look into folders called
``backups``, of all names: hence the one level more.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from backupstore.errors import Denied, Refused
from shipper.restore.port import Directories
from shipper.state import disk_error
from shipper.transfer.download import Owner

WORK = ".medusa-shipper-restore"
_NOT_READ_BY_CASSANDRA = "backups"
_ROOT = 0


@dataclass(frozen=True, slots=True)
class Place:
    """One directory of the node and its work folder. ``holds_data``: it is a data directory; ``owner``: Cassandra.

    ``only``: where single tables are restored, their folders, ``keyspace/name-id``; nothing else is touched then.
    ``keep``: keyspaces that stay as they are while all the others are restored.
    """

    directory: Path
    work: Path
    holds_data: bool
    owner: Owner
    only: tuple[str, ...] | None = None
    keep: tuple[str, ...] = ()

    @property
    def incoming(self) -> Path:
        """What was downloaded for it."""
        return self.work / _NOT_READ_BY_CASSANDRA / "incoming"

    @property
    def aside(self) -> Path:
        """Its old content."""
        return self.work / _NOT_READ_BY_CASSANDRA / "aside"

    @property
    def out(self) -> Path:
        """Restored content that was taken out again."""
        return self.work / _NOT_READ_BY_CASSANDRA / "out"


def choose(directories: Directories) -> tuple[Place, ...]:
    """The places of a node: its data directories in their order, then the others. Refused when they overlap."""
    data = [path.resolve() for path in directories.data]
    others = list(dict.fromkeys(path.resolve() for path in directories.others))
    _refuse_overlap(data, others)
    # What lies inside another one of them moves with it.
    others = [path for path in others if not any(outer in path.parents for outer in (*data, *others))]
    try:
        owners = _owners([*data, *others])
        works = [_work_folder(path, directories.mounts) for path in (*data, *others)]
    except OSError as error:
        raise disk_error(error, Path(os.fsdecode(error.filename or data[0])), "restore") from error
    return tuple(
        Place(path, work, path in data, owner)
        for path, work, owner in zip([*data, *others], works, owners, strict=True)
    )


def _refuse_overlap(data: Sequence[Path], others: Sequence[Path]) -> None:
    for path in data:
        around = [outer for outer in (*data, *others) if outer in path.parents or (outer == path and outer in others)]
        if around or data.count(path) > 1:
            raise Refused(
                f"The data directory {path} is, or lies inside, another directory of Cassandra's"
                f" ({around[0] if around else path}): the two cannot be set aside apart.",
                hint="Give each its own directory in cassandra.yaml.",
                operation="restore",
            )


def _work_folder(directory: Path, mounts: frozenset[Path]) -> Path:
    parent = existing(directory.parent)
    apart = directory.exists() and directory.stat().st_dev != parent.stat().st_dev
    if apart or directory in mounts or not os.access(parent, os.W_OK | os.X_OK, effective_ids=True):
        return directory / WORK
    return directory.parent / f"{WORK}-{directory.name}"


def existing(path: Path) -> Path:
    """The path, or what of it is there."""
    while not path.exists() and path != path.parent:
        path = path.parent
    return path


def _owners(directories: Sequence[Path]) -> list[Owner]:
    """Who each directory belongs to. One that root has just made, or a fresh disk, goes to whoever owns the others."""
    found = []
    for directory in directories:
        status = existing(directory).stat()
        found.append(Owner(status.st_uid, status.st_gid))
    cassandra = next((owner for owner in found if owner.uid != _ROOT), None)
    return [cassandra if cassandra and owner.uid == _ROOT and os.geteuid() == _ROOT else owner for owner in found]


def check(places: Iterable[Place], mounts: frozenset[Path]) -> None:
    """Find out, before anything is touched, whether everything can be renamed. Refused, Denied with the way out."""
    for place in places:
        _check_nothing_left(place)
        inside = sorted(mount for mount in mounts if place.directory in mount.parents)
        if inside:
            raise _cannot_move(inside[0], "it is a mount point inside one of Cassandra's directories")
        if place.directory.exists():
            try:
                _check_movable(place)
            except OSError as error:
                raise disk_error(error, place.directory, "restore") from error


def _check_nothing_left(place: Place) -> None:
    """Without a journal nobody knows which half of an earlier restore this is: it may be the only copy of the data."""
    for folder in (place.aside, place.out):
        if folder.is_dir() and any(folder.iterdir()):
            raise Refused(
                f"{folder} holds data of an earlier restore, and its journal is gone.",
                hint=f"Do not start Cassandra. 'aside' is the data from before that restore. Compare it with"
                f" {place.directory}, keep what is right, remove {place.work}, and run the same command again.",
                operation="restore",
                key=str(folder),
            )


def _check_movable(place: Place) -> None:
    user = os.geteuid()
    if user not in {_ROOT, place.owner.uid}:
        raise Denied(
            f"{place.directory} belongs to user id {place.owner.uid}, and this is user id {user}: restored files could"
            " not be given to Cassandra.",
            hint="Run restore-node as root, or as Cassandra's own user if that may stop and start it.",
            operation="restore",
        )
    for path, is_link in [(place.directory, False), *_entries(place)]:
        if is_link:
            raise _cannot_move(path, "it is a symbolic link, so its files would be left behind")
        if not os.access(path, os.W_OK | os.X_OK, effective_ids=True):
            raise Denied(
                f"{path} may not be changed: wrong user, or its file system is read-only.",
                hint="Run restore-node as root or as Cassandra's own user; see 'mount' and dmesg for a disk that failed.",
                operation="restore",
                key=str(path),
            )


def _entries(place: Place) -> Iterator[tuple[Path, bool]]:
    """Folders that will be renamed, with whether they are links: keyspaces, and the tables in them."""
    with os.scandir(place.directory) as found:
        keyspaces = [entry for entry in found if entry.is_dir() and entry.name not in {place.work.name, "lost+found"}]
    for keyspace in keyspaces:
        yield Path(keyspace.path), place.holds_data and keyspace.is_symlink()
        if place.holds_data:
            with os.scandir(keyspace.path) as tables:
                yield from ((Path(table.path), True) for table in tables if table.is_dir() and table.is_symlink())


def _cannot_move(path: Path, why: str) -> Refused:
    return Refused(
        f"{path} cannot be set aside: {why}.",
        hint="Let Cassandra keep all data in its data directories themselves, then run the same command again.",
        operation="restore",
        key=str(path),
    )
