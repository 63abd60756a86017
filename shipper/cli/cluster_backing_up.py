"""The command that backs a whole cluster up, as a job."""

from __future__ import annotations

from dataclasses import dataclass

from backupstore.chance import random_text
from backupstore.core import names
from backupstore.core.documents import Mode
from backupstore.core.job_documents import Assignment, Request
from backupstore.core.job_ids import job_id
from backupstore.operations.restore_cluster import ask
from backupstore.wiring import check_bucket
from shipper.cli.cluster_target import find_target
from shipper.cli.console import out
from shipper.cli.jobs_following import follow_to_end
from shipper.cli.operator import operator
from shipper.cli.options import Globals


@dataclass(frozen=True, slots=True)
class BackupOptions:
    """Options of ``backup-cluster``."""

    seed_target: str | None
    mode: Mode | None
    keyspaces: tuple[str, ...]
    tables: tuple[str, ...]
    parallel: int


def run_backup_cluster(chosen: Globals, name: str | None, given: BackupOptions) -> None:
    """``backup-cluster``."""
    check_bucket(chosen.store)  # a node makes it, and knows whether it was there before and is only not mounted
    now = chosen.clock.now()
    backup = names.check_backup_name(name if name is not None else names.name_of_time(now))
    target = find_target(chosen, given.seed_target)
    out(target.known_by)
    request = Request(
        job=job_id("backup", now, random_text()),
        kind="backup",
        backup=backup,
        by=operator(),
        created=now,
        assignments=tuple(Assignment(target=node) for node in sorted(target.ring.names)),
        parallel=given.parallel,
        keyspaces=given.keyspaces,
        tables=given.tables,
        mode=given.mode,
    )
    ask(chosen.store, chosen.layout, request)
    follow_to_end(chosen, request)
