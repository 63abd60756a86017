"""Numbers for Amazon CloudWatch in its embedded metric format (EMF), made by Powertools.

In a Lambda function a line on stdout is enough: CloudWatch takes the numbers out of the log. Anywhere else the CloudWatch
agent takes them, at the address at which AWS's own libraries look for it.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from urllib.parse import urlsplit

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.metrics.provider.cloudwatch_emf.cloudwatch import AmazonCloudWatchEMFProvider

from backupstore.core.measures import Sample, Unit
from backupstore.metrics.datagrams import Datagrams

NAMESPACE = "medusa-shipper"
_LAMBDA = "AWS_LAMBDA_FUNCTION_NAME"
_ENDPOINT = "AWS_EMF_AGENT_ENDPOINT"
_AGENT = "tcp://127.0.0.1:25888"
_PORT = 25888
_SECONDS = 5.0
_UNITS: Mapping[Unit, MetricUnit] = {
    "seconds": MetricUnit.Seconds,
    "bytes": MetricUnit.Bytes,
    "count": MetricUnit.Count,
}


class CloudWatch:
    """``ports.Metrics``. Cluster and node are dimensions; the name of the backup stands beside, for those who search logs."""

    def __init__(self, environ: Mapping[str, str], warn: Callable[[str], None]) -> None:
        self._is_lambda = bool(environ.get(_LAMBDA))
        self._endpoint = environ.get(_ENDPOINT) or _AGENT
        self._warn = warn

    def send(self, samples: Sequence[Sample]) -> bool:
        """One document for each set of dimensions."""
        if self._is_lambda:
            for document in _documents(samples):
                document.flush_metrics()
            return True
        lines = [json.dumps(document.serialize_metric_set(), separators=(",", ":")) for document in _documents(samples)]
        return self._to_agent([f"{line}\n".encode() for line in lines])

    def _to_agent(self, lines: Sequence[bytes]) -> bool:
        try:
            address = urlsplit(self._endpoint)
            host, port = address.hostname or "127.0.0.1", address.port or _PORT
            if address.scheme == "udp":
                return Datagrams(host, port, self._warn).send(lines)
            with socket.create_connection((host, port), _SECONDS) as connection:
                connection.sendall(b"".join(lines))
        except (OSError, ValueError) as error:
            self._warn(f"metrics cannot be sent to the CloudWatch agent at {self._endpoint}: {error}; the work goes on")
            return False
        return True


def _documents(samples: Sequence[Sample]) -> Iterator[AmazonCloudWatchEMFProvider]:
    """The samples with the same dimensions and backup, together."""
    groups: dict[tuple[tuple[tuple[str, str], ...], str], list[Sample]] = {}
    for sample in samples:
        groups.setdefault((tuple(sample.labels.items()), sample.backup), []).append(sample)
    for (dimensions, backup), told in groups.items():
        document = AmazonCloudWatchEMFProvider(namespace=NAMESPACE)
        for label, value in dimensions:
            document.add_dimension(label, value)
        if backup:
            document.add_metadata("backup", backup)
        for sample in told:
            document.add_metric(sample.measure.name, _UNITS[sample.measure.unit], sample.value)
        yield document
