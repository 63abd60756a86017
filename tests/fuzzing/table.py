"""The one table of targets, for Hypothesis and for atheris."""

from __future__ import annotations

from tests.fuzzing import of_core, of_gcs, of_jobs, of_s3, of_shipper
from tests.fuzzing.target import Target

TARGETS: dict[str, Target] = {
    target.name: target
    for target in (
        *of_core.TARGETS,
        *of_jobs.TARGETS,
        *of_s3.TARGETS,
        *of_gcs.TARGETS,
        *of_shipper.TARGETS,
    )
}
