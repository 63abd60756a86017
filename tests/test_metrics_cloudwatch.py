"""Numbers for CloudWatch: documents in the embedded metric format, to its agent or, in a function, on stdout."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from backupstore.core import measures
from backupstore.core.measures import MEASURES, Sample
from backupstore.metrics.cloudwatch import NAMESPACE, CloudWatch
from tests.settings.udp import receiver

REPORT = [
    Sample(measures.CLUSTER_AGE, 7, "east", backup="b1"),
    Sample(measures.CLUSTER_SIZE, 4096, "east", backup="b2"),
    Sample(measures.NODE_MISSING, 1, "east", "n3", "b2"),
    Sample(measures.INDEX_LAG, 3, "east"),
    Sample(measures.REPORT_ERROR, 0, "east"),
]


class Agent:
    """Takes what comes over one connection after the other."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self.port = int(sock.getsockname()[1])
        self.came = bytearray()
        self._thread = threading.Thread(target=self._take, daemon=True)
        self._thread.start()

    def _take(self) -> None:
        connection, _ = self._socket.accept()
        with connection:
            while piece := connection.recv(1 << 16):
                self.came += piece

    def taken(self) -> list[dict[str, Any]]:
        """The documents, when the sender has gone."""
        self._thread.join(30)
        assert not self._thread.is_alive()
        return [json.loads(line) for line in self.came.decode().splitlines()]


@contextmanager
def agent() -> Iterator[Agent]:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        yield Agent(sock)


def valid(document: dict[str, Any]) -> dict[str, float]:
    """The values, after what Amazon's specification of the format demands was checked."""
    head = document["_aws"]
    assert isinstance(head["Timestamp"], int)
    values = {}
    for directive in head["CloudWatchMetrics"]:
        assert set(directive) == {"Namespace", "Dimensions", "Metrics"}
        assert directive["Namespace"] == NAMESPACE
        assert 1 <= len(directive["Metrics"]) <= 100
        for names in directive["Dimensions"]:
            assert len(names) <= 30
            for name in names:
                assert isinstance(document[name], str)
                assert document[name].strip()
        for metric in directive["Metrics"]:
            assert metric["Unit"] in {"Seconds", "Bytes", "Count"}
            (values[metric["Name"]],) = document[metric["Name"]]
    return values


def dimensions(document: dict[str, Any]) -> dict[str, str]:
    (names,) = document["_aws"]["CloudWatchMetrics"][0]["Dimensions"]
    return {name: document[name] for name in names}


def check_report(documents: list[dict[str, Any]]) -> None:
    told = {
        (name, document.get("backup", ""), tuple(sorted(dimensions(document).items()))): value
        for document in documents
        for name, value in valid(document).items()
    }
    east = ("cluster", "east")
    assert told == {
        ("medusa-cluster-backup.seconds-since-backup", "b1", (east,)): 7,
        ("medusa-cluster-backup.backup-total-size", "b2", (east,)): 4096,
        ("medusa-shipper.node-missing", "b2", (east, ("node", "n3"))): 1,
        ("medusa-shipper.index-lag-seconds", "", (east,)): 3,
        ("medusa-shipper.report-error", "", (east,)): 0,
    }


def test_the_agent_gets_valid_documents_over_tcp() -> None:
    warned: list[str] = []
    with agent() as there:
        environ = {"AWS_EMF_AGENT_ENDPOINT": f"tcp://127.0.0.1:{there.port}"}
        assert CloudWatch(environ, warned.append).send(REPORT)
        check_report(there.taken())
    assert warned == []


def test_the_agent_gets_a_datagram_for_each_document() -> None:
    with receiver() as udp:
        environ = {"AWS_EMF_AGENT_ENDPOINT": f"udp://127.0.0.1:{udp.port}"}
        assert CloudWatch(environ, pytest.fail).send(REPORT)
        check_report([json.loads(text) for text in udp.taken()])


def test_a_function_writes_them_on_stdout(capfd: pytest.CaptureFixture[str]) -> None:
    assert CloudWatch({"AWS_LAMBDA_FUNCTION_NAME": "report"}, pytest.fail).send(REPORT)
    check_report([json.loads(line) for line in capfd.readouterr().out.splitlines()])


def test_every_measure_of_the_table_can_be_told(capfd: pytest.CaptureFixture[str]) -> None:
    samples = [Sample(measure, number) for number, measure in enumerate(MEASURES)]
    assert CloudWatch({"AWS_LAMBDA_FUNCTION_NAME": "report"}, pytest.fail).send(samples)
    (document,) = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert valid(document) == {measure.name: number for number, measure in enumerate(MEASURES)}
    units = {metric["Name"]: metric["Unit"] for metric in document["_aws"]["CloudWatchMetrics"][0]["Metrics"]}
    assert units == {measure.name: measure.unit.capitalize() for measure in MEASURES}


@pytest.mark.parametrize("endpoint", ["tcp://127.0.0.1:1", "tcp://no-such-host.invalid", "tcp://host:none", "udp://["])
def test_an_agent_that_is_not_there_is_told(endpoint: str) -> None:
    warned: list[str] = []
    assert not CloudWatch({"AWS_EMF_AGENT_ENDPOINT": endpoint}, warned.append).send(REPORT)
    assert len(warned) == 1
    assert endpoint in warned[0]
