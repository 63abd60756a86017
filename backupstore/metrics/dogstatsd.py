"""Gauges for the agent of Datadog, as stock Medusa sends them: ``medusa-node-backup.backup-size:1234|g``."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from backupstore.core.measures import Sample
from backupstore.metrics.datagrams import Datagrams

_HOST, _PORT = "localhost", 8125
_TRUE = frozenset({"True", "true", "yes", "1"})
_NOT_IN_TAGS = re.compile(r"[^\w\d_\-:/.]")

# What Datadog's own client adds to every metric, from the variables that its agent sets in containers.
_TAGS = {"DD_ENTITY_ID": "dd.internal.entity_id", "DD_ENV": "env", "DD_SERVICE": "service", "DD_VERSION": "version"}


class DogStatsd:
    """``ports.Metrics``. Where the agent is, ``environ`` says as it does to Datadog's client: ``DD_AGENT_HOST`` and so on."""

    def __init__(self, environ: Mapping[str, str], warn: Callable[[str], None], *, with_backup_name: bool) -> None:
        port = environ.get("DD_DOGSTATSD_PORT", "")
        self._datagrams = Datagrams(
            environ.get("DD_AGENT_HOST") or _HOST,
            int(port) if port.isdecimal() else _PORT,
            warn,
        )
        self._enabled = environ.get("DD_DOGSTATSD_DISABLE") not in _TRUE
        given = [tag for tag in environ.get("DATADOG_TAGS", "").split(",") if tag]
        self._tags = (*given, *(f"{tag}:{environ[name]}" for name, tag in _TAGS.items() if environ.get(name)))
        self._with_backup_name = with_backup_name

    def send(self, samples: Sequence[Sample]) -> bool:
        """A gauge each."""
        return not self._enabled or self._datagrams.send(self._gauge(sample) for sample in samples)

    def _gauge(self, sample: Sample) -> bytes:
        named = (f"backup_name:{sample.backup}",) if self._with_backup_name and sample.backup else ()
        # Stock's gauges keep stock's tags: a further one would make them other series.
        ours = (f"{label}:{value}" for label, value in sample.beside.items())
        tags = ",".join(_NOT_IN_TAGS.sub("_", tag) for tag in (*named, *ours, *self._tags))
        return f"{sample.measure.name}:{sample.value}|g{'|#' if tags else ''}{tags}".encode()
