"""The one table of what monitoring can be told. Every provider's names, the documents and the alert rules come from it.

A measure is known by the two words that stock Medusa sends it under, ``medusa-node-backup`` and ``backup-size``. Stock's
stay as they are; ours stand under ``medusa-shipper``, and end with their unit where they do not just count.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Unit = Literal["seconds", "bytes", "count"]
Teller = Literal["backup", "agent", "report", "purge"]
Label = Literal["cluster", "node"]

NEVER = 315_365_400.0
"""Seconds, ten years: stock's word for "nobody knows when", so that a threshold is passed and somebody looks."""

_NODE = "medusa-node-backup"
_CLUSTER = "medusa-cluster-backup"
_OURS = "medusa-shipper"


@dataclass(frozen=True, slots=True)
class Measure:
    """One kind of number. ``told_by``: the command that tells it; ``labels``: what tells its values apart."""

    key: str
    what: str
    unit: Unit
    told_by: Teller
    help: str
    labels: tuple[Label, ...] = ("cluster",)

    @property
    def name(self) -> str:
        """As one word, in the form of dogstatsd: ``medusa-node-backup.backup-size``."""
        return f"{self.key}.{self.what}"

    @property
    def identifier(self) -> str:
        """As an identifier, for those that take no dashes: ``medusa_node_backup_backup_size``."""
        return re.sub(r"[-.]", "_", self.name)

    @property
    def is_stocks(self) -> bool:
        """Whether it is told under a key of stock's, and so in stock's form."""
        return self.key != _OURS


@dataclass(frozen=True, slots=True)
class Sample:
    """One number that was measured. ``cluster``: the prefix; ``node``, ``backup``: names, empty where there is none."""

    measure: Measure
    value: float
    cluster: str = ""
    node: str = ""
    backup: str = ""

    @property
    def labels(self) -> dict[str, str]:
        """The labels of its measure that have a value."""
        known = {"cluster": self.cluster, "node": self.node}
        return {label: known[label] for label in self.measure.labels if known[label]}

    @property
    def beside(self) -> dict[str, str]:
        """The labels that go beside stock's fields: none of a measure of stock's, whose form stays as it is."""
        return {} if self.measure.is_stocks else self.labels


_PER_NODE: tuple[Label, ...] = ("cluster", "node")

BACKUP_DURATION = Measure(_NODE, "backup-duration", "seconds", "backup", "How long the node's backup took.", _PER_NODE)
BACKUP_SIZE = Measure(_NODE, "backup-size", "bytes", "backup", "All files of the node's backup.", _PER_NODE)
BACKUP_CORRUPT = Measure(
    _NODE, "backup-corrupt", "count", "backup", "Components that the node's disk has spoilt.", _PER_NODE
)
BACKUP_NEW = Measure(
    _OURS, "backup-new-bytes", "bytes", "backup", "What the node's backup had to upload: it was new.", _PER_NODE
)
BACKUP_ERROR = Measure(
    _NODE, "backup-error", "count", "backup", "0; 1: the node's backup ended without being good.", _PER_NODE
)

AGENT_LAST = Measure(
    _OURS,
    "agent-last-backup-time-seconds",
    "seconds",
    "agent",
    "When the last backup of the schedule was finished, since 1970; not told before the first one.",
    _PER_NODE,
)
AGENT_NEXT = Measure(
    _OURS,
    "agent-next-backup-time-seconds",
    "seconds",
    "agent",
    "When the next backup of the schedule begins, since 1970; not told without a schedule.",
    _PER_NODE,
)
AGENT_FAILED = Measure(
    _OURS,
    "agent-backup-failed",
    "count",
    "agent",
    "0; 1: the last backup of the schedule failed, found corrupt files, or could not begin.",
    _PER_NODE,
)
AGENT_BUSY = Measure(_OURS, "agent-busy", "count", "agent", "1: a backup or a command is being carried out.", _PER_NODE)
AGENT_RESTORING = Measure(
    _OURS, "agent-restore-open", "count", "agent", "1: a restore of the node is not over.", _PER_NODE
)
AGENT_COMMANDS_FAILED = Measure(
    _OURS, "agent-failed-commands", "count", "agent", "Commands that failed since the agent was started.", _PER_NODE
)
AGENT_COMMANDS_REFUSED = Measure(
    _OURS,
    "agent-refused-commands",
    "count",
    "agent",
    "Commands that were refused since the agent was started.",
    _PER_NODE,
)

PURGE_ERROR = Measure(
    _NODE, "purge-error", "count", "purge", "0; 1: the last purge failed, was braked, or died before it was done."
)

NODE_AGE = Measure(
    _NODE, "seconds-since-backup", "seconds", "report", "Since the node's last backup was finished.", _PER_NODE
)
CLUSTER_AGE = Measure(
    _CLUSTER,
    "seconds-since-backup",
    "seconds",
    "report",
    "Since the last complete, whole and sound backup was finished; ten years: there is none, or nobody can tell.",
)
NODES_COMPLETE = Measure(
    _CLUSTER, "complete-backups-node-count", "count", "report", "Nodes that have finished the last backup."
)
NODES_INCOMPLETE = Measure(
    _CLUSTER, "incomplete-backups-node-count", "count", "report", "Nodes that have begun the last backup."
)
NODES_MISSING = Measure(
    _CLUSTER, "missing-backups-node-count", "count", "report", "Nodes that have not begun the last backup."
)
CLUSTER_SIZE = Measure(_CLUSTER, "backup-total-size", "bytes", "report", "All files of the last backup.")
CLUSTER_FILES = Measure(_CLUSTER, "backup-total-file-count", "count", "report", "Files of the last backup.")

VERIFIED_AGE = Measure(
    _OURS,
    "verified-backup-age-seconds",
    "seconds",
    "report",
    "Since the last complete backup was finished that has been verified and found good; ten years: there is none.",
)
FAILED_VERIFICATIONS = Measure(
    _OURS, "failed-verifications", "count", "report", "Backups whose last verification found something wrong."
)
NODE_INCOMPLETE = Measure(
    _OURS, "node-incomplete", "count", "report", "1: the node has begun the last backup, not finished.", _PER_NODE
)
NODE_MISSING = Measure(
    _OURS, "node-missing", "count", "report", "1: the node has not begun the last backup.", _PER_NODE
)
CORRUPT_COMPONENTS = Measure(
    _OURS, "corrupt-components", "count", "report", "Components of SSTables that are corrupt in the last backup."
)
CORRUPT_BACKUPS = Measure(_OURS, "corrupt-backups", "count", "report", "Backups with corrupt components.")
COMPLETE_BACKUPS = Measure(_OURS, "complete-backups", "count", "report", "Backups that are complete, whole and sound.")
INDEX_LAG = Measure(
    _OURS,
    "index-lag-seconds",
    "seconds",
    "report",
    "Since somebody confirmed the list of backups; ten years: there is no list.",
)
RECONCILE_REPAIRED = Measure(
    _OURS,
    "reconcile-repaired",
    "count",
    "report",
    "Objects of the list of backups, and of stock's index, that the last comparison with the bucket had to repair.",
)
PURGE_AGE = Measure(
    _OURS,
    "purge-age-seconds",
    "seconds",
    "report",
    "Since the last purge that did all of its work was begun; ten years: none did. Not told where nobody ever purged.",
)
PURGE_FREED = Measure(_OURS, "purge-freed-bytes", "bytes", "report", "What the last purge has deleted so far.")
PURGE_PENDING = Measure(
    _OURS, "purge-pending-nodes", "count", "report", "Nodes for which the last purge still has something to do."
)
PURGE_BRAKED = Measure(
    _OURS, "purge-braked", "count", "report", "1: the last purge would have deleted too much, and deleted nothing."
)
PURGE_BLOCKED = Measure(
    _OURS,
    "purge-blocked-nodes",
    "count",
    "report",
    "Nodes of which the last purge could delete nothing: a backup is under way, or a manifest cannot be read.",
)
JOBS_OPEN = Measure(_OURS, "jobs-open", "count", "report", "Cluster restores and backups that are not over.")
JOBS_WAITING = Measure(
    _OURS,
    "jobs-waiting",
    "count",
    "report",
    "Of these, those that do not go on without somebody: a node is silent or has failed, or the job cannot be read.",
)
JOB_PHASE = Measure(
    _OURS,
    "job-phase-seconds",
    "seconds",
    "report",
    "Since the job that is carried out has come into its phase, or since one was asked for that nobody coordinates.",
)
REPORT_TIME = Measure(
    _OURS, "report-time-seconds", "seconds", "report", "When this was told, since 1970: all else is as old as this."
)
REPORT_ERROR = Measure(_OURS, "report-error", "count", "report", "0; 1: the list of backups could not be read.")

MEASURES: tuple[Measure, ...] = (
    BACKUP_DURATION,
    BACKUP_SIZE,
    BACKUP_CORRUPT,
    BACKUP_NEW,
    BACKUP_ERROR,
    AGENT_LAST,
    AGENT_NEXT,
    AGENT_FAILED,
    AGENT_BUSY,
    AGENT_RESTORING,
    AGENT_COMMANDS_FAILED,
    AGENT_COMMANDS_REFUSED,
    PURGE_ERROR,
    NODE_AGE,
    CLUSTER_AGE,
    NODES_COMPLETE,
    NODES_INCOMPLETE,
    NODES_MISSING,
    CLUSTER_SIZE,
    CLUSTER_FILES,
    VERIFIED_AGE,
    FAILED_VERIFICATIONS,
    NODE_INCOMPLETE,
    NODE_MISSING,
    CORRUPT_COMPONENTS,
    CORRUPT_BACKUPS,
    COMPLETE_BACKUPS,
    INDEX_LAG,
    RECONCILE_REPAIRED,
    PURGE_AGE,
    PURGE_FREED,
    PURGE_PENDING,
    PURGE_BRAKED,
    PURGE_BLOCKED,
    JOBS_OPEN,
    JOBS_WAITING,
    JOB_PHASE,
    REPORT_TIME,
    REPORT_ERROR,
)
