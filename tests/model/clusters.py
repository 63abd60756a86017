"""The clusters that are explored: three nodes with one seed or two, by each method, and smaller ones for longer histories."""

from __future__ import annotations

from typing import Any

from backupstore.core.job_documents import Assignment, Request

RESTORE = "restore-20261123134500-0a1b2c3d"
BACKUP = "backup-20261123134500-0a1b2c3d"


def request(nodes: int = 3, seeds: int = 1, **others: Any) -> Request:  # noqa: ANN401 # any field of a request
    """A restore by ``replace``, unless ``others`` say something else."""
    names = tuple(f"n{number}" for number in range(1, nodes + 1))
    assignments = tuple(Assignment(target=n, sources=(n,), seed=at < seeds) for at, n in enumerate(names))
    usual = {"job": RESTORE, "kind": "restore", "backup": "b", "by": "me", "created": 0.0, "assignments": assignments}
    return Request.model_validate({**usual, **others})


CLUSTERS: dict[str, Request] = {
    "one seed": request(),
    "two seeds": request(seeds=2),
    "one after the other": request(parallel=1),
    "old data deleted first": request(stop_first=True, parallel=2),
    "sstableloader": request(method="sstableloader"),
    "backup": request(kind="backup", job=BACKUP),
    "two nodes": request(nodes=2),
}
