"""The grammar of the bucket: every object key is built and parsed here, and nowhere else.

``Layout(prefix)`` builds keys of one cluster, ``parse_in`` reads them back; ``parse`` takes any meta or index key of the
bucket and says whose it is: the prefix is one segment, so the number of segments tells. The first part
(node folders, ``index/backup_index``, ``index/latest_backup``) is stock Medusa's layout to the letter; the rest of
``index/`` is ours, where stock never looks. ``docs/bucket-format.md`` is the document behind this module.

    P F/N/meta/<file>                       meta of one node backup
    P F/N/data/KS/CF/[IDX/]<file>           data of a full backup
    P F/data/KS/CF/[IDX/]<file>             differential data, shared by the node's backups
    P F/data-v/<version>/KS/CF/[IDX/]<file> differential data whose plain key is taken by other content, or condemned
    P index/backup_index/N/<row>_F…         stock's index
    P index/latest_backup/F/<file>          stock's marker
    P index/{catalog,condemned,holds,…}/…   our documents
    index/announced/<P or ->/F/N/<what>     announcements, always at the root of the bucket

Who may write which of them is in ``writers``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from backupstore.core import names
from backupstore.core.keys import Announced, AnnouncedKey, DataKey, Key, LatestKey, MetaKey, OwnKey, Parsed, RowKey

NO_PREFIX = "-"
INDEX = "index"
"""The folder of a cluster that is no node."""

SCHEMA = "schema.cql"
TOKENMAP = "tokenmap.json"
SERVER_VERSION = "server_version.json"
DIFFERENTIAL = "differential"
MANIFEST = "manifest.json"
DESCRIBE = "describe.cql"
ABANDONED = "abandoned"
DAMAGED = "damaged"
BACKUP_NAME = "backup_name.txt"
DIFFERENTIAL_MARKERS = frozenset({DIFFERENTIAL, "incremental"})
META_FILES = (
    frozenset({SCHEMA, TOKENMAP, SERVER_VERSION, MANIFEST, DESCRIBE, ABANDONED, DAMAGED}) | DIFFERENTIAL_MARKERS
)
"""What may lie in a meta folder beside the attempts."""
OWN_AREAS = frozenset(
    {"accepted_rings", "catalog", "commands", "condemned", "findings", "holds", "jobs", "purges", "reports"}
)
"""Folders of our documents below ``index/``."""
NODE_DATA_FOLDERS = frozenset({"data", "data-v"})
"""Folders of a node that are no backups."""
_ROW = re.compile(r"(tokenmap|schema|manifest)_(.+)\.(?:json|cql)|(differential|incremental)_(.+)")
_STAMP = re.compile(r"(started|finished)_(.+)_([0-9]{1,12})\.timestamp")


@dataclass(frozen=True, slots=True)
class Layout:
    """Keys of one cluster. ``prefix`` is one segment, or empty."""

    prefix: str = ""

    @property
    def root(self) -> str:
        """The folder of the whole cluster; empty without a prefix."""
        return f"{self.prefix}/" if self.prefix else ""

    # --- a node's backups ---
    def node(self, node: str) -> str:
        """Folder of everything that node shipped."""
        return f"{self.root}{node}/"

    def backup(self, node: str, backup: str) -> str:
        """Folder of one node backup."""
        return f"{self.root}{node}/{backup}/"

    def meta_folder(self, node: str, backup: str) -> str:
        """Folder of the small objects of one node backup."""
        return f"{self.root}{node}/{backup}/meta/"

    def meta(self, node: str, backup: str, file: str) -> str:
        """One of the small objects of a node backup."""
        return f"{self.root}{node}/{backup}/meta/{file}"

    def attempt(self, node: str, backup: str, number: int) -> str:
        """The document of the n-th attempt, from 1."""
        return self.meta(node, backup, f"attempt-{number}.json")

    def full_data(self, node: str, backup: str) -> str:
        """Folder of a full backup's data."""
        return f"{self.root}{node}/{backup}/data/"

    def shared_data(self, node: str) -> str:
        """Folder of the differential data of a node."""
        return f"{self.root}{node}/data/"

    def versioned_data(self, node: str) -> str:
        """Folder of the differential data that had to go beside its plain key."""
        return f"{self.root}{node}/data-v/"

    def data(self, key: DataKey) -> str:
        """The key of one component."""
        if key.backup is not None:
            folder = self.full_data(key.node, key.backup)
        elif key.version is not None:
            folder = f"{self.versioned_data(key.node)}{key.version}/"
        else:
            folder = self.shared_data(key.node)
        index = f"{key.index}/" if key.index else ""
        return f"{folder}{key.keyspace}/{key.table}/{index}{key.file}"

    # --- stock's index ---
    def rows(self, backup: str) -> str:
        """Folder of stock's index rows of one cluster backup."""
        return f"{self.all_rows()}{backup}/"

    def all_rows(self) -> str:
        """Folder of stock's whole index."""
        return f"{self.root}index/backup_index/"

    def row(self, key: RowKey) -> str:
        """One key of stock's index."""
        if key.stamp is not None:
            file = f"{key.kind}_{key.node}_{key.stamp}.timestamp"
        elif key.kind in DIFFERENTIAL_MARKERS:
            file = f"{key.kind}_{key.node}"
        else:
            file = f"{key.kind}_{key.node}.{'cql' if key.kind == 'schema' else 'json'}"
        return f"{self.rows(key.backup)}{file}"

    def latest(self, node: str, file: str) -> str:
        """Stock's marker of the backup of a node that finished last: ``tokenmap.json`` or ``backup_name.txt``."""
        return f"{self.all_latest()}{node}/{file}"

    def all_latest(self) -> str:
        """Folder of all of stock's markers; one folder for each node."""
        return f"{self.root}index/latest_backup/"

    # --- our documents ---
    def catalog(self) -> str:
        """Folder of the catalog."""
        return f"{self.root}index/catalog/"

    def head(self) -> str:
        """One line per cluster backup."""
        return f"{self.catalog()}head.json"

    def catalog_backups(self) -> str:
        """Folder of the cluster backups' documents."""
        return f"{self.catalog()}backups/"

    def catalog_backup(self, backup: str) -> str:
        """The document of one cluster backup."""
        return f"{self.catalog_backups()}{backup}.json"

    def catalog_name(self, key: str) -> str | None:
        """The cluster backup whose document has this key; None for any other key."""
        folder = self.catalog_backups()
        name = key[len(folder) : -len(".json")]
        whole = key.startswith(folder) and names.is_segment(name) and key == self.catalog_backup(name)
        return name if whole else None

    def catalog_probe(self) -> str:
        """Where compare-and-swap is probed."""
        return f"{self.catalog()}probe.json"

    def condemned(self, node: str) -> str:
        """Folder of what is about to be deleted of a node."""
        return f"{self.all_condemned()}{node}/"

    def condemned_document(self, node: str, name: str) -> str:
        """One of these documents."""
        return f"{self.condemned(node)}{name}.json"

    def all_condemned(self) -> str:
        """Folder of what is about to be deleted; one folder for each node."""
        return f"{self.root}index/condemned/"

    def purges(self) -> str:
        """Folder of the records of all purges."""
        return f"{self.root}index/purges/"

    def purge(self, run: str) -> str:
        """The record of one purge."""
        return f"{self.purges()}{run}.json"

    def accepted_rings(self) -> str:
        """Folder of the rings that an operator accepted although they are smaller."""
        return f"{self.root}index/accepted_rings/"

    def accepted_ring(self, backup: str) -> str:
        """One of them, named by the backup that showed it."""
        return f"{self.accepted_rings()}{backup}.json"

    def all_holds(self) -> str:
        """Folder of all holds; one folder for each cluster backup that has any."""
        return f"{self.root}index/holds/"

    def holds(self, backup: str) -> str:
        """Folder of the holds on one cluster backup."""
        return f"{self.all_holds()}{backup}/"

    def hold(self, backup: str, hold_id: str) -> str:
        """One hold."""
        return f"{self.holds(backup)}{hold_id}.json"

    def all_findings(self) -> str:
        """Folder of what verify found; one folder for each cluster backup."""
        return f"{self.root}index/findings/"

    def findings(self, backup: str) -> str:
        """Folder of what verify found about one cluster backup."""
        return f"{self.all_findings()}{backup}/"

    def finding(self, backup: str, level: str) -> str:
        """What the last verification on a level found."""
        return f"{self.findings(backup)}{level}.json"

    # --- what doctor writes to see what it may: plain objects in folders of which everybody else reads only folders ---
    def node_probe(self, node: str) -> str:
        """Where it is tried what may be done to a node's backups."""
        return f"{self.node(node)}doctor-probe"

    def hold_probe(self) -> str:
        """Where it is tried whether holds may be created; the same for all nodes."""
        return f"{self.root}index/holds/doctor-probe"

    def announced_probe(self, node: str) -> str:
        """Where it is tried whether announcements may be created."""
        return f"{self.announcements()}{node}/doctor-probe"

    # --- announcements, at the root of the bucket ---
    def announcements(self) -> str:
        """Folder of this cluster's announcements."""
        return f"{ANNOUNCED}{self.prefix or NO_PREFIX}/"

    def announced(self, node: str, backup: str, what: Announced) -> str:
        """One announcement."""
        return f"{self.announced_of(node, backup)}{what}"

    def announced_of(self, node: str, backup: str) -> str:
        """Folder of the announcements of one node backup."""
        return f"{self.announcements()}{node}/{backup}/"


ANNOUNCED = "index/announced/"


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
