"""The document of an attempt, as our shipper writes it: a test says only what it is about."""

from __future__ import annotations

from typing import Any

from backupstore.core.documents import Attempt


def attempt_of(node: str, backup: str, **others: Any) -> Attempt:  # noqa: ANN401 # any field of an attempt
    """The first attempt at a full backup, unless ``others`` say something else."""
    usual = {
        "attempt": 1,
        "node": node,
        "backup": backup,
        "host_id": f"host-{node}",
        "cluster": "c",
        "boot_id": "b",
        "begun": 1.0,
        "mode": "full",
        "release_version": "5.0.6",
        "shipper_version": "1",
        "snapshot": "s",
    }
    return Attempt.model_validate({**usual, **others})
