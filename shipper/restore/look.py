"""Reading all that a restore decides by: the backup's meta, this machine, the ring. Nothing is written but the hold."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from backupstore.core import layout as grammar
from backupstore.core import tokenmap
from backupstore.core.documents import Hold, encode
from backupstore.errors import Corrupt, Denied, NodeTrouble, NoSpace, NotFound, Refused
from shipper.cassandra.port import Identity
from shipper.meta import find, read_condemned
from shipper.progress import Progress
from shipper.restore.places import Place
from shipper.restore.plan import Backup, Here
from shipper.site import Site
from shipper.transfer.fetch_plan import FetchPlan

_HOLD_DAYS = 7.0
_MARGIN = 64 << 20


def read_backup(site: Site, name: str) -> Backup:
    """The backup of this node. NotFound, Refused, Corrupt with the reason it cannot be restored."""
    found = find(site.store, site.layout, site.name, name)
    if grammar.SCHEMA not in found.files:
        raise NotFound(
            f"There is no backup {name} of {site.name}.",
            hint="list-backups shows what there is; --fqdn acts as another node.",
            operation="restore",
            key=name,
        )
    if grammar.ABANDONED in found.files:
        raise Refused(
            f"The backup {name} of {site.name} was given up before it was whole.",
            hint="Choose another one.",
            operation="restore",
        )
    if grammar.MANIFEST not in found.files:
        raise Refused(
            f"The backup {name} of {site.name} is not finished: it has no manifest.",
            hint="Wait until it is finished, or choose another one (list-backups).",
            operation="restore",
        )
    if found.latest is not None and found.latest.partial:
        raise Refused(
            f"The backup {name} holds only some tables (--keyspace, --table): the whole node cannot be restored from it.",
            hint="Choose a whole backup, or fetch its files with 'download'.",
            operation="restore",
        )
    tokens = tokenmap.parse(
        _body(site, name, grammar.TOKENMAP) or b"", site.layout.meta(site.name, name, grammar.TOKENMAP)
    )
    described = _body(site, name, grammar.DESCRIBE)
    return Backup(
        name=name,
        node=site.name,
        host_id=found.latest.host_id if found.latest else None,
        started=found.files[grammar.SCHEMA],
        release_version=found.latest.release_version if found.latest else "unknown",
        tokens=frozenset(tokens[site.name].tokens) if site.name in tokens else frozenset(),
        schema=(_body(site, name, grammar.SCHEMA) or b"").decode("utf-8", "replace"),
        described=described.decode("utf-8", "replace") if described is not None else None,
    )


def _body(site: Site, backup: str, file: str) -> bytes | None:
    try:
        return site.store.read(site.layout.meta(site.name, backup, file)).body
    except NotFound:
        return None


def look_here(site: Site, *, in_place: bool) -> Here:
    """This machine as it is."""
    has_data = any(_holds_something(directory) for directory in site.cassandra.data_directories)
    remembered = site.state.read("identity")
    return Here(
        _live(site), remembered.get("host_id") if remembered.get("node") == site.name else None, has_data, in_place
    )


def _live(site: Site) -> Identity | None:
    if not site.cassandra.is_up():
        return None
    try:
        return site.cassandra.identity()
    except NodeTrouble:
        return None


def _holds_something(directory: Path) -> bool:
    return any(directory.glob("*/*/*.db")) if directory.is_dir() else False


def hold(site: Site, backup: str, hold_id: str, *, without: bool, progress: Progress) -> None:
    """Write the hold first, and only then look whether the backup is condemned: purge looks in the other order."""
    now = site.clock.now()
    document = Hold(
        backup=backup, id=hold_id, by=site.name, why="restore-node", created=now, expires=now + _HOLD_DAYS * 86400
    )
    try:
        site.store.create(site.layout.hold(backup, hold_id), encode(document))
    except Denied as error:
        if not without:
            raise Refused(
                f"The backup {backup} cannot be protected from being deleted while it is restored: {error.message}",
                hint="Let this node create objects below index/holds/, or go on with --without-hold.",
                operation="restore",
            ) from error
        progress.warn(
            "no hold could be written: if the backup is deleted meanwhile, the restore ends before the node is stopped"
        )
    if backup in read_condemned(site.store, site.layout, site.name).backups:
        if not without:
            raise Refused(
                f"The backup {backup} is being deleted.",
                hint="Choose another one; or try --without-hold: every byte is fetched and checked before the node is stopped.",
                operation="restore",
            )
        progress.warn(f"the backup {backup} is being deleted; what is still there is fetched and checked first")


def check_sound(plan: FetchPlan, backup: str, *, accept_corrupt: bool) -> None:
    """Refused when components were bad already when they were backed up; Corrupt when there is nothing in it."""
    files, _, corrupt = plan.totals()
    if not files:
        raise Corrupt(f"The manifest of {backup} names no file.", hint="Choose another backup.", operation="restore")
    if corrupt and not accept_corrupt:
        raise Refused(
            f"{corrupt} components were corrupt on the node's disk when {backup} was made.",
            hint="Choose an older backup; or restore it with --accept-corrupt, then run 'nodetool scrub' and repair.",
            operation="restore",
        )


def check_space(plan: FetchPlan, places: Iterable[Place]) -> None:
    """Old and new data lie side by side until the commit. NoSpace says how much is missing, and where."""
    sizes, needed, free = plan.sizes_by_disk(), dict[int, int](), dict[int, tuple[int, Path]]()
    for disk, place in enumerate(place for place in places if place.holds_data):
        device = os.stat(place.work).st_dev
        usage = shutil.disk_usage(place.work)
        free[device] = (usage.free, place.work)
        needed[device] = needed.get(device, _MARGIN) + sizes.get(disk, 0) - _present(place.incoming)
    for device, size in needed.items():
        have, where = free[device]
        if size > have:
            raise NoSpace(
                f"{size - have:,} bytes are missing on the file system of {where}: old and new data lie side by side until the restore is good.",
                hint="Free space there (old snapshots: nodetool clearsnapshot), or add a disk, and run the same command again.",
                operation="restore",
            )


def free_bytes(place: Place) -> int:
    """What may be written to the file system of a place."""
    return shutil.disk_usage(place.work).free


def _present(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else 0
