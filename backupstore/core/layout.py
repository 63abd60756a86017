"""The grammar of the bucket: every object key is built here, and nowhere else; ``key_parsing`` reads them back.

``Layout(prefix)`` builds the keys of one cluster. The first part (node folders, ``index/backup_index``,
``index/latest_backup``) is stock Medusa's layout to the letter; the rest of ``index/`` is ours, where stock never looks.
``docs/bucket-format.md`` is the document behind this module.

    P F/N/meta/<file>                       meta of one node backup
    P F/N/data/KS/CF/[IDX/]<file>           data of a full backup
    P F/data/KS/CF/[IDX/]<file>             differential data, shared by the node's backups
    P F/data-v/<version>/KS/CF/[IDX/]<file> differential data whose plain key is taken by other content, or condemned
    P index/backup_index/N/<row>_F…         stock's index
    P index/latest_backup/F/<file>          stock's marker
    P index/{catalog,condemned,holds,…}/…   our documents
    P index/jobs/{requests,records,nodes}/… cluster jobs: what is asked, where it stands, what nodes answer
    P index/commands/F.json                 what a node has to obey now
    index/announced/<P or ->/F/N/<what>     announcements, always at the root of the bucket

Those of jobs and commands are in ``job_layout``. Who may write which of them is in ``writers``.
"""

from __future__ import annotations

from dataclasses import dataclass

from backupstore.core import names
from backupstore.core.job_layout import JobLayout
from backupstore.core.keys import Announced, DataKey, RowKey

NO_PREFIX = "-"
INDEX = "index"
"""The folder of a cluster that is no node."""
ANNOUNCED = "index/announced/"
"""The folder of all announcements, of whatever cluster."""

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
    {
        "accepted_rings",
        "catalog",
        "commands",
        "condemned",
        "findings",
        "holds",
        "jobs",
        "purged",
        "purges",
        "reports",
        "verifying",
    }
)
"""Folders of our documents below ``index/``."""
NODE_DATA_FOLDERS = frozenset({"data", "data-v"})
"""Folders of a node that are no backups."""


@dataclass(frozen=True, slots=True)
class Layout(JobLayout):
    """Keys of one cluster. ``prefix`` is one segment, or empty."""

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

    def all_purge_answers(self) -> str:
        """Folder of what workers have done for purges that are not over yet; one folder for each run."""
        return f"{self.root}index/purged/"

    def purge_answers(self, run: str) -> str:
        """Folder of what workers have done for one purge."""
        return f"{self.all_purge_answers()}{run}/"

    def purge_answer(self, run: str, node: str) -> str:
        """What workers have done of one node's work."""
        return f"{self.purge_answers(run)}{node}.json"

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

    def all_rounds(self) -> str:
        """Folder of the verifications that are under way; one folder for each round."""
        return f"{self.root}index/verifying/"

    def round(self, name: str) -> str:
        """Folder of one round."""
        return f"{self.all_rounds()}{name}/"

    def round_plan(self, name: str) -> str:
        """What a round is about."""
        return f"{self.round(name)}plan.json"

    def round_part(self, name: str, backup: str, node: str, piece: str) -> str:
        """What was found in a piece of one node backup; ``piece`` without a slash."""
        return f"{self.round(name)}parts/{backup}/{node}/{piece}.json"

    def round_parts(self, name: str, backup: str) -> str:
        """Folder of all that was found about one cluster backup."""
        return f"{self.round(name)}parts/{backup}/"

    def round_mark(self, name: str, backup: str) -> str:
        """Says that all of it stands in the findings of that cluster backup."""
        return f"{self.round(name)}merged/{backup}"

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
