"""Cassandra beside us: its configuration, nodetool, CQL, its disks, the commands that stop and start it, our own state."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from backupstore.errors import BackupError
from backupstore.operations.reading import read_backup
from shipper.cassandra.nodetool import Seen
from shipper.doctor.case import AS_OWNER, Case
from shipper.doctor.findings import Report, fail, ok, unchecked, warn
from shipper.restore import journal as journals
from shipper.restore import places
from shipper.restore.mounts import mount_points
from shipper.restore.places import existing
from shipper.restore.stays_down import mark_of
from shipper.watching import is_remote

_GIB = 1 << 30
_MARGIN = 64 << 20
_AS_CASSANDRA = "Run backups as Cassandra's own user."


def look_at_configuration(case: Case) -> Iterator[Report]:
    """cassandra.yaml."""
    found = case.wiring.configuration
    yield ok(f"{found.path}: cluster {found.cluster_name}, {len(found.directories.data)} data directories")


def look_at_data(case: Case) -> Iterator[Report]:
    """Whether this user can read what is to be backed up."""
    for directory in case.wiring.configuration.directories.data:
        if not directory.is_dir():
            yield fail(
                f"the data directory {directory} is not there",
                "Mount its disk, or correct data_file_directories in the file that config_file names.",
            )
        else:
            yield _readable(directory)
            yield from judge_user(os.geteuid(), directory.stat().st_uid)


def judge_user(user: int, owner: int) -> Iterator[Report]:
    """What root may says nothing of what Cassandra's user may."""
    if user == 0 and owner != 0:
        yield warn(f"this is root, who may read everything, and the data belongs to user id {owner}", AS_OWNER)


def _readable(directory: Path) -> Report:
    """Folders down to the tables, and the first file that is found."""
    try:
        keyspaces = [entry for entry in os.scandir(directory) if entry.is_dir()]
        tables = [table for keyspace in keyspaces for table in os.scandir(keyspace.path) if table.is_dir()]
        for table in tables:
            files = [entry for entry in os.scandir(table.path) if entry.name.endswith("-Data.db")]
            if files:
                with Path(files[0].path).open("rb"):
                    return ok(f"{directory} can be read by this user (id {os.geteuid()}): {len(tables)} tables")
    except PermissionError as error:
        return fail(f"{error.filename} may not be read by this user (id {os.geteuid()})", _AS_CASSANDRA)
    return ok(f"{directory} can be read by this user (id {os.geteuid()}), and holds no SSTable yet")


def look_at_nodetool(case: Case) -> Iterator[Report]:
    """Whether snapshots can be asked for, and how the ring looks."""
    info = case.nodetool_info
    yield judge_ring(case.nodetool.status(), info)


def judge_ring(seen: Sequence[Seen], info: Mapping[str, str]) -> Report:
    """A node that is down makes no backup, and without it no cluster backup is complete."""
    down = [member.address for member in seen if not member.is_up]
    moving = [member.address for member in seen if not member.is_normal]
    text = f"nodetool answers: host id {info['ID']}, load {info.get('Load', '?')}, {len(seen)} nodes"
    if down:
        return warn(f"{text}; {', '.join(down)} are down", "Cluster backups are incomplete until they are up again.")
    if moving:
        return warn(f"{text}; {', '.join(moving)} join, leave or move", "Back up again when that is over.")
    return ok(text)


def look_at_cql(case: Case) -> Iterator[Report]:
    """Whether the login works, and is on the node that nodetool and cassandra.yaml speak of."""
    identity, configuration = case.identity, case.wiring.configuration
    if identity.cluster != configuration.cluster_name:
        yield fail(
            f"CQL reached a node of cluster {identity.cluster}, and {configuration.path} is of {configuration.cluster_name}",
            "Check config_file in [cassandra] of medusa.ini: it must be the file that this Cassandra was started with.",
        )
        return
    yield ok(
        f"Cassandra {identity.release_version} at {case.wiring.access.address}: host id {identity.host_id},"
        f" {identity.dc}/{identity.rack}, {len(identity.tokens)} tokens"
    )


def look_at_same_node(case: Case) -> Iterator[Report]:
    """Whether nodetool and CQL speak with one node."""
    by_nodetool = case.nodetool_info["ID"]
    if by_nodetool != case.identity.host_id:
        yield fail(
            f"nodetool speaks with host id {by_nodetool}, CQL with {case.identity.host_id}",
            "Check nodetool_host and nodetool_port in [cassandra], and rpc_address in cassandra.yaml.",
        )
    else:
        yield ok("nodetool and CQL speak with the same node")


def look_at_commands(case: Case) -> Iterator[Report]:
    """Programs of ``stop_cmd`` and ``start_cmd``."""
    missing = case.wiring.service().missing_commands()
    if missing:
        yield warn(
            f"stop_cmd or start_cmd: {', '.join(missing)} is not on this machine: a restore would be refused",
            "Set both in [cassandra] to what stops and starts Cassandra here, and try them by hand.",
        )
    else:
        yield ok("the programs of stop_cmd and start_cmd are here")


def look_at_state(case: Case) -> Iterator[Report]:
    """Our own directory: there, ours, on a disk of this machine; and no restore left open."""
    path = case.settings.shipper.state_dir
    near = existing(path)
    if not os.access(near, os.R_OK | os.W_OK | os.X_OK, effective_ids=True):
        yield fail(
            f"state_dir {path} cannot be {'used' if near == path else 'made'} by this user (id {os.geteuid()})",
            f"install -d -m 700 -o cassandra -g cassandra {path}, or set state_dir in [shipper].",
        )
        return
    journal = journals.load(case.state)
    if journal is not None:
        yield fail(
            f"a restore of {journal.backup} is not over ({journal.phase}): do not start Cassandra by hand",
            f"{journal.how_to_finish} {journal.how_to_go_back}",
        )
    elif mark_of(case.state).exists():
        yield fail(
            f"{mark_of(case.state)} keeps Cassandra down, and no restore is open here",
            "Somebody removed the journal of a restore. See that the data directories are whole, then remove that file.",
        )
    elif is_remote(near.resolve()):
        yield warn(
            f"state_dir {path} is on a network file system", "Set state_dir in [shipper] to a disk of this machine."
        )
    else:
        yield ok(f"state_dir {path}{'' if near == path else ' will be made by the first backup'}")


def look_at_room(case: Case) -> Iterator[Report]:
    """Whether a restore of the newest backup would fit beside the present data."""
    directories = case.wiring.configuration.directories.data
    free = {path.stat().st_dev: shutil.disk_usage(path).free for path in map(existing, directories)}
    size = _size_of_newest(case)
    if size is None:
        yield unchecked(f"no backup of this node whose size would tell; {sum(free.values()) / _GIB:,.1f} GiB are free")
    else:
        yield judge_room(sum(free.values()), size)


def _size_of_newest(case: Case) -> int | None:
    document = read_backup(case.store, case.layout, case.latest.name) if case.latest else None
    fact = document.nodes.get(case.name) if document else None
    return fact.size if fact else None


def judge_room(free: int, size: int) -> Report:
    """In bytes. Old and new data lie side by side until the restore is good."""
    text = (
        f"{free / _GIB:,.1f} GiB are free on the data disks, the newest backup of this node has {size / _GIB:,.1f} GiB"
    )
    if free < size + _MARGIN:
        return warn(
            f"{text}: it could not be restored beside the present data",
            "Drop old snapshots (nodetool listsnapshots, clearsnapshot) or add a disk before you need it.",
        )
    return ok(text)


def look_at_restore(case: Case) -> Iterator[Report]:
    """Whether everything that Cassandra owns could be set aside by renaming."""
    directories = case.wiring.directories()
    try:
        places.check(places.choose(directories), mount_points())
    except BackupError as error:
        yield warn(f"a restore would be refused: {error.message}", error.hint)
        return
    yield ok("a restore could set the present data aside")
