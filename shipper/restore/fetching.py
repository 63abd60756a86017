"""Fetching a whole backup into the work folders: what goes where, whether it fits, and nothing but that afterwards."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from backupstore.core.names import SYSTEM_KEYSPACES
from backupstore.core.schema_changes import table_ids
from backupstore.errors import Corrupt, NoSpace, Refused
from shipper.cassandra.port import CassandraNode
from shipper.progress import Progress
from shipper.restore import moves
from shipper.restore.places import Place
from shipper.restore.port import Witness
from shipper.site import Site
from shipper.state import disk_error
from shipper.transfer.download import Downloader, make_directories
from shipper.transfer.fetch_plan import FetchPlan

_MARGIN = 64 << 20
"""So much stays free for the node, which goes on writing while its backup is fetched."""
_NEEDED = ("system", "system_schema")


def check_sound(plan: FetchPlan, backup: str, *, accept_corrupt: bool, whole: bool = True) -> None:
    """Refused when components were bad already when they were backed up; Corrupt when it is not the ``whole`` node."""
    files, _, corrupt = plan.totals()
    missing = [keyspace for keyspace in _NEEDED if not plan.holds(keyspace)]
    if whole and (not files or missing):
        raise Corrupt(
            f"The manifest of {backup} names no file{f' of {missing[0]}' if files else ''}: no node can start from it.",
            hint="Choose another backup; single tables can be fetched with 'download'.",
            operation="restore",
            key=backup,
        )
    if corrupt and not accept_corrupt:
        raise Refused(
            f"{corrupt} components were corrupt on the node's disk when {backup} was made.",
            hint="Choose an older backup; or restore it with --accept-corrupt, then run 'nodetool scrub' and repair.",
            operation="restore",
            key=backup,
        )


def tables_by_id(plan: FetchPlan) -> dict[str, str]:
    """Table id → ``ks.table`` of every table in the manifest."""
    pairs = ((keyspace, *folder.partition("-")) for keyspace, folder in plan.tables())
    return {table_id: f"{keyspace}.{name}" for keyspace, name, _, table_id in pairs if table_id}


def newer_tables(plan: FetchPlan, cassandra: CassandraNode, witness: Witness | None) -> tuple[str, ...]:
    """Users' tables that are here and not in the backup: what lies on disk with data, and what the live schema has."""
    known = set(plan.tables())
    live = table_ids(witness.described) if witness else {}
    found = set()
    for directory in cassandra.data_directories:
        for folder in directory.glob("[!.]*/*-*"):
            keyspace, name = folder.parent.name, folder.name
            has_data = name.partition("-")[2] in live or any(folder.glob("*.db"))
            if (keyspace, name) not in known and keyspace not in SYSTEM_KEYSPACES and has_data:
                found.add(f"{keyspace}.{name.partition('-')[0]}")
    return tuple(sorted(found))


@dataclass(frozen=True, slots=True)
class Fetching:
    """One backup on its way into ``places``, of which ``local_disk`` holds only the node's own tables.

    ``stop_first``: the old data is deleted before it comes.
    """

    site: Site
    plan: FetchPlan
    places: tuple[Place, ...]
    local_disk: int | None
    stop_first: bool = False

    def fetch(self, progress: Progress, *, workers: int, same_boot: bool) -> None:
        """Fetch and check everything, and see it on the disk. NoSpace, Corrupt; the node is not touched."""
        data = [place for place in self.places if place.holds_data]
        try:
            self.plan.place([_free(place) for place in data], self.local_disk)
            for disk, place in enumerate(data):
                self._tidy(disk, place)
            self._check_space(data)
            downloader = Downloader(
                self.site.store,
                lambda disk: data[disk].incoming,
                workers=workers,
                owner=lambda disk: data[disk].owner,
            )
            downloader.fetch(self.plan, progress, trust_present=same_boot)
            for keyspace, table in self.plan.tables():
                # A table without SSTables is a directory all the same.
                make_directories(data[0].incoming, data[0].incoming / keyspace / table, data[0].owner)
        except OSError as error:
            raise disk_error(error, data[0].incoming, "restore") from error
        # From here on, the machine may lose power at any time.
        moves.flush(self.places)

    def check_fits_instead(self) -> None:
        """NoSpace when it would not even fit once the old data is deleted. Nothing is fetched."""
        data = [place for place in self.places if place.holds_data]
        try:
            freed = {place: _deletable(place) for place in data}
            self.plan.place([_free(place) + freed[place] for place in data], self.local_disk)
            self._check_space(data, freed)
        except OSError as error:
            raise disk_error(error, data[0].incoming, "restore") from error

    def _tidy(self, disk: int, place: Place) -> None:
        """What an earlier run has left: unfinished files, those that go elsewhere this time, folders not given away."""
        for folder, _, files in os.walk(place.incoming, topdown=False):
            here = Path(folder)
            for name in files:
                if self.plan.disk_of((here / name).relative_to(place.incoming)) != disk:
                    (here / name).unlink()
            if here != place.incoming and here.stat().st_uid != place.owner.uid:
                os.chown(here, place.owner.uid, place.owner.gid)

    def _check_space(self, data: Sequence[Place], freed: Mapping[Place, int] = MappingProxyType({})) -> None:
        """Old and new data lie side by side until the commit, but for what is ``freed`` first.

        NoSpace says how much is missing, and where.
        """
        sizes, needed, where = self.plan.sizes_by_disk(), dict[int, int](), dict[int, Path]()
        for disk, place in enumerate(data):
            device = place.work.stat().st_dev
            where.setdefault(device, place.work)
            needed[device] = needed.get(device, _MARGIN) + sizes.get(disk, 0) - _present(place.incoming)
            needed[device] -= freed.get(place, 0)
        for device, path in where.items():
            missing = needed[device] - shutil.disk_usage(path).free
            if missing > 0:
                why = (
                    "even without the old data" if self.stop_first else "old and new lie side by side until it is good"
                )
                raise NoSpace(
                    f"{missing:,} bytes are missing on the file system of {path}: {why}.",
                    hint="Free space there (old snapshots: nodetool clearsnapshot), or add a disk, and run the same"
                    f" command again{'' if self.stop_first else '; or have the old data deleted first (--stop-first)'}.",
                    operation="restore",
                    key=str(path),
                )


def _free(place: Place) -> int:
    """What may be written there; what an earlier run has fetched counts as free, so that files go where they are."""
    return shutil.disk_usage(place.work).free + _present(place.incoming)


def _deletable(place: Place) -> int:
    """What deleting its content would free, at least: what a snapshot holds as well may stay."""
    return sum(
        status.st_blocks * 512
        for path in place.directory.rglob("*")
        if place.work not in path.parents and stat.S_ISREG((status := path.lstat()).st_mode) and status.st_nlink == 1
    )


def _present(folder: Path) -> int:
    """In the blocks that the file system has handed out."""
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())
