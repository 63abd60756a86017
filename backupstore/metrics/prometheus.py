"""Numbers for Prometheus: the text that it scrapes, and the files that node_exporter's textfile collector reads.

Names are those of the table with underscores. The name of a backup is no label: each one would begin a new series.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, write_to_textfile
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from backupstore.core.measures import MEASURES, Sample

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
_NOT_IN_FILES = re.compile(r"[^\w.-]")


def exposition(samples: Iterable[Sample]) -> bytes:
    """The samples as text, in the order of the table."""
    return generate_latest(_registry(samples))


class Textfiles:
    """``ports.Metrics``. One file for each command and node in that directory, exchanged as a whole by a rename.

    Commands have files of their own, so that none takes away what another one has told.
    """

    def __init__(self, directory: Path, warn: Callable[[str], None]) -> None:
        self._directory = directory
        self._warn = warn

    def send(self, samples: Sequence[Sample]) -> bool:
        """Write the files; what stood in them before is gone."""
        by_file: dict[str, list[Sample]] = {}
        for sample in samples:
            by_file.setdefault(_file_of(sample), []).append(sample)
        try:
            for file, told in by_file.items():
                write_to_textfile(str(self._directory / file), _registry(told))
        except OSError as error:
            self._warn(f"metrics cannot be written to {self._directory}: {error.strerror or error}; the work goes on")
            return False
        return True


class _Told(Collector):
    """Samples that were measured before they are asked for."""

    def __init__(self, samples: Iterable[Sample]) -> None:
        self._samples = tuple(samples)

    def collect(self) -> Iterator[Metric]:
        for measure in MEASURES:
            told = [sample for sample in self._samples if sample.measure == measure]
            if told:
                family = GaugeMetricFamily(measure.identifier, measure.help, labels=measure.labels)
                for sample in told:
                    family.add_metric([sample.labels.get(label, "") for label in measure.labels], sample.value)
                yield family


def _registry(samples: Iterable[Sample]) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(_Told(samples))
    return registry


def _file_of(sample: Sample) -> str:
    """A backup is of one node, and several nodes may be on one machine; a report is of a cluster."""
    told_by = sample.measure.told_by
    names = (sample.cluster, sample.node) if told_by == "backup" else (sample.cluster,)
    return _NOT_IN_FILES.sub("_", "-".join(("medusa", told_by, *(name for name in names if name)))) + ".prom"
