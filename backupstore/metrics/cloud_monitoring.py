"""Numbers for Google Cloud Monitoring: custom metrics, written by Google's own client.

The service makes a metric known when its first number comes. Who we are, and in which project, Google's libraries find
out as they do everywhere: by the machine, or by ``GOOGLE_APPLICATION_CREDENTIALS``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import google.auth
from google.api_core.exceptions import GoogleAPIError
from google.auth.exceptions import GoogleAuthError
from google.cloud import monitoring_v3

from backupstore.core.measures import Sample
from backupstore.ports import Clock

_AT_ONCE = 200  # what the service takes with one call
_SECONDS = 10.0

Connect = Callable[[], tuple[monitoring_v3.MetricServiceClient, str]]


def connect() -> tuple[monitoring_v3.MetricServiceClient, str]:
    """The client, and the project to write to."""
    credentials, project = google.auth.default(scopes=["https://www.googleapis.com/auth/monitoring.write"])
    return monitoring_v3.MetricServiceClient(credentials=credentials), project or ""


class CloudMonitoring:
    """``ports.Metrics``. ``clock`` tells when it was measured; nothing is looked up before there is something to send."""

    def __init__(self, clock: Clock, warn: Callable[[str], None], connect: Connect = connect) -> None:
        self._clock = clock
        self._warn = warn
        self._connect = connect

    def send(self, samples: Sequence[Sample]) -> bool:
        """Write them as points of now."""
        series = list(self._series(samples))
        try:
            client, project = self._connect()
            for first in range(0, len(series), _AT_ONCE):
                client.create_time_series(
                    name=f"projects/{project}",
                    time_series=series[first : first + _AT_ONCE],
                    retry=None,
                    timeout=_SECONDS,
                )
        except (GoogleAPIError, GoogleAuthError, OSError, ValueError) as error:
            self._warn(f"metrics cannot be sent to Cloud Monitoring: {error}; the work goes on")
            return False
        return True

    def _series(self, samples: Sequence[Sample]) -> Iterator[monitoring_v3.TimeSeries]:
        now = self._clock.now()
        moment = {"seconds": int(now), "nanos": int(now % 1 * 1e9)}
        for sample in samples:
            yield monitoring_v3.TimeSeries(
                {
                    "metric": {"type": metric_type(sample), "labels": sample.labels},
                    "resource": {"type": "global"},
                    "points": [{"interval": {"end_time": moment}, "value": {"double_value": sample.value}}],
                }
            )


def metric_type(sample: Sample) -> str:
    """``custom.googleapis.com/medusa_node_backup_backup_size``; the service takes no dashes there."""
    return f"custom.googleapis.com/{sample.measure.identifier}"
