"""What a key of the bucket says: the other way of ``layout``, where the grammar is.

``parse_in`` reads keys of one cluster; ``parse`` takes any meta or index key of the bucket and says whose it is: the
prefix is one segment, so the number of segments tells. Keys come from listings, events and manifests, which may be
anybody's: whatever is not to the letter what ``layout`` builds is nothing.
"""

from __future__ import annotations

import re

from backupstore.core import names
from backupstore.core.job_ids import is_job_id
from backupstore.core.keys import AnnouncedKey, DataKey, JobKey, Key, LatestKey, MetaKey, OwnKey, Parsed, RowKey
from backupstore.core.layout import ANNOUNCED, NO_PREFIX, NODE_DATA_FOLDERS, OWN_AREAS, Layout

_ROW = re.compile(r"(tokenmap|schema|manifest)_(.+)\.(?:json|cql)|(differential|incremental)_(.+)")
_STATE = re.compile(r"([1-9][0-9]{0,8})-([1-9][0-9]{0,8})\.json")
_STAMP = re.compile(r"(started|finished)_(.+)_(0|[1-9][0-9]{0,11})\.timestamp")


def parse(key: str) -> Parsed | None:
    """Say what a key is. None for anything that is neither stock's nor ours, hostile names included.

    None for data as well: ``x/y/data/…`` is full data of node x without a prefix and shared data of node y under prefix x,
    so only ``parse_in`` can tell. Nothing but a manifest ever leads to data.
    """
    parts = key.split("/")
    if not all(names.is_segment(part) for part in parts):
        return None
    found: Parsed | None = None
    match parts:
        case ["index", "announced", *rest]:
            found = _announced(rest)
        case ["index", *rest]:
            found = _under("", _index_key(rest))
        case [prefix, "index", *rest]:
            found = _under(prefix, _index_key(rest))
        # F/N/meta/x has four segments, P/F/N/meta/x five.
        case [node, backup, "meta", file]:
            found = Parsed("", MetaKey(node, backup, file))
        case [prefix, node, backup, "meta", file]:
            found = Parsed(prefix, MetaKey(node, backup, file))
    return found


def parse_in(layout: Layout, key: str) -> Key | None:
    """``parse`` for a key that must be of this cluster; None when it is of another one, or of none."""
    if key.startswith(ANNOUNCED):
        parsed = parse(key)
        return parsed.key if parsed and parsed.prefix == layout.prefix else None
    if not key.startswith(layout.root):
        return None
    parts = key[len(layout.root) :].split("/")
    if not all(names.is_segment(part) for part in parts):
        return None
    return _index_key(parts[1:]) if parts[0] == "index" else _node_key(parts)


def data_key(layout: Layout, key: str) -> DataKey | None:
    """Parse a manifest's path. None unless it is a data key of this cluster with names that Cassandra could have made."""
    parsed = parse_in(layout, key)
    if not isinstance(parsed, DataKey):
        return None
    good = (
        names.is_keyspace(parsed.keyspace)
        and names.is_table_folder(parsed.table)
        and names.is_component_file(parsed.file)
        and (parsed.index is None or names.is_index_folder(parsed.index))
    )
    return parsed if good else None


def job_key(key: Key) -> JobKey | None:
    """What a key below ``index/jobs/`` says to a coordinator. None for all that coordinators write themselves."""
    if not isinstance(key, OwnKey) or key.area != "jobs":
        return None
    found: JobKey | None = None
    match key.rest.split("/"):
        case ["requests", job, "request.json"]:
            found = JobKey("request", job)
        case ["requests", job, "wishes", file] if file.endswith(".json") and names.is_segment(file[: -len(".json")]):
            found = JobKey("wish", job, wish=file[: -len(".json")])
        case ["nodes", node, job, file] if state := _STATE.fullmatch(file):
            found = JobKey("state", job, node=node, number=int(state[1]), seq=int(state[2]))
    return found if found and is_job_id(found.job) else None


def _under(prefix: str, key: Key | None) -> Parsed | None:
    return Parsed(prefix, key) if key is not None else None


def _announced(parts: list[str]) -> Parsed | None:
    match parts:
        case [prefix, node, backup, ("started" | "finished" | "corrupt") as what]:
            return Parsed("" if prefix == NO_PREFIX else prefix, AnnouncedKey(node, backup, what))
    return None


def _node_key(parts: list[str]) -> Key | None:
    match parts:
        case [node, backup, "meta", file] if backup not in NODE_DATA_FOLDERS:
            return MetaKey(node, backup, file)
        case [node, "data", *rest]:
            return _data_key(rest, node)
        case [node, "data-v", version, *rest]:
            return _data_key(rest, node, version=version)
        case [node, backup, "data", *rest]:
            return _data_key(rest, node, backup=backup)
    return None


def _data_key(rest: list[str], node: str, *, backup: str | None = None, version: str | None = None) -> DataKey | None:
    match rest:
        case [keyspace, table, file]:
            return DataKey(node, keyspace, table, file, None, backup, version)
        case [keyspace, table, index, file]:
            return DataKey(node, keyspace, table, file, index, backup, version)
    return None


def _index_key(parts: list[str]) -> Key | None:
    match parts:
        case ["backup_index", backup, file]:
            return _row(backup, file)
        case ["latest_backup", node, file]:
            return LatestKey(node, file)
        case [area, *rest] if rest and area in OWN_AREAS:
            return OwnKey(area, "/".join(rest))
    return None


def _row(backup: str, file: str) -> RowKey | None:
    stamp = _STAMP.fullmatch(file)
    if stamp:
        return RowKey(backup, stamp[1], stamp[2], int(stamp[3]))
    row = _ROW.fullmatch(file)
    if row is None:
        return None
    key = RowKey(backup, row[1] or row[3], row[2] or row[4])
    return key if file == Layout().row(key).rsplit("/", 1)[1] else None
