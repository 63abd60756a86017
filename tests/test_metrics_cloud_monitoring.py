"""Numbers for Cloud Monitoring: Google's own client talks to a gRPC server that speaks ``CreateTimeSeries``."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc
import pytest
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import DefaultCredentialsError
from google.cloud import monitoring_v3
from google.cloud.monitoring_v3.services.metric_service.transports import MetricServiceGrpcTransport

from backupstore.core import measures
from backupstore.core.measures import MEASURES, Sample
from backupstore.metrics.cloud_monitoring import CloudMonitoring, Connect
from tests.clocks import SettableClock
from tests.harness.s3_servers import free_port

REPORT = [Sample(measures.CLUSTER_AGE, 7, "east", backup="b1"), Sample(measures.NODE_MISSING, 1, "", "n3", "b2")]


class Service:
    """Keeps what it was sent; ``refuses``: with what it answers instead."""

    def __init__(self, refuses: grpc.StatusCode | None = None) -> None:
        self.refuses = refuses
        self.requests: list[monitoring_v3.CreateTimeSeriesRequest] = []
        self.port = free_port()

    def create(self, request: monitoring_v3.CreateTimeSeriesRequest, context: grpc.ServicerContext) -> bytes:
        if self.refuses:
            context.abort(self.refuses, "no")
        self.requests.append(request)
        return b""  # google.protobuf.Empty

    def connect(self) -> tuple[monitoring_v3.MetricServiceClient, str]:
        transport = MetricServiceGrpcTransport(
            channel=grpc.insecure_channel(f"127.0.0.1:{self.port}"),
            credentials=AnonymousCredentials(),  # type: ignore[no-untyped-call]
        )
        return monitoring_v3.MetricServiceClient(transport=transport), "project-1"


@contextmanager
def serving(service: Service) -> Iterator[None]:
    handler = grpc.unary_unary_rpc_method_handler(
        service.create,
        request_deserializer=monitoring_v3.CreateTimeSeriesRequest.deserialize,
        response_serializer=bytes,
    )
    methods = {"CreateTimeSeries": handler}
    server = grpc.server(ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("google.monitoring.v3.MetricService", methods),)
    )
    server.add_insecure_port(f"127.0.0.1:{service.port}")
    server.start()
    try:
        yield
    finally:
        server.stop(None).wait()


def sent(service: Service, samples: list[Sample], warned: list[str]) -> bool:
    clock = SettableClock(1_700_000_000.5)
    with serving(service):
        return CloudMonitoring(clock, warned.append, service.connect).send(samples)


def test_the_service_gets_a_point_of_now_for_each_sample() -> None:
    service, warned = Service(), list[str]()
    assert sent(service, REPORT, warned)
    (request,) = service.requests
    assert request.name == "projects/project-1"
    first, second = request.time_series
    assert first.metric.type == "custom.googleapis.com/medusa_cluster_backup_seconds_since_backup"
    assert dict(first.metric.labels) == {"cluster": "east"}
    assert first.resource.type == "global"
    (point,) = first.points
    assert point.value.double_value == 7
    assert point.interval.end_time.timestamp() == 1_700_000_000.5
    assert second.metric.type == "custom.googleapis.com/medusa_shipper_node_missing"
    assert dict(second.metric.labels) == {"node": "n3"}
    assert warned == []


def test_no_call_has_more_than_the_service_takes() -> None:
    service = Service()
    samples = [Sample(measures.NODE_MISSING, 1, "east", f"n{number}") for number in range(401)]
    assert sent(service, samples, [])
    assert [len(request.time_series) for request in service.requests] == [200, 200, 1]
    nodes = [series.metric.labels["node"] for request in service.requests for series in request.time_series]
    assert nodes == [f"n{number}" for number in range(401)]


def test_every_measure_of_the_table_can_be_told() -> None:
    service = Service()
    assert sent(service, [Sample(measure, 1) for measure in MEASURES], [])
    types = [series.metric.type for request in service.requests for series in request.time_series]
    assert types == [f"custom.googleapis.com/{measure.identifier}" for measure in MEASURES]


@pytest.mark.parametrize("code", [grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAVAILABLE])
def test_a_service_that_refuses_is_told(code: grpc.StatusCode) -> None:
    warned: list[str] = []
    assert not sent(Service(code), REPORT, warned)
    assert len(warned) == 1


def test_a_service_that_is_not_there_is_told() -> None:
    warned: list[str] = []
    assert not CloudMonitoring(SettableClock(1.0), warned.append, Service().connect).send(REPORT)
    assert len(warned) == 1


def test_a_machine_without_an_account_is_told() -> None:
    def nobody() -> tuple[monitoring_v3.MetricServiceClient, str]:
        raise DefaultCredentialsError("no account")  # type: ignore[no-untyped-call]

    connect: Connect = nobody
    warned: list[str] = []
    assert not CloudMonitoring(SettableClock(1.0), warned.append, connect).send(REPORT)
    assert warned == ["metrics cannot be sent to Cloud Monitoring: no account; the work goes on"]
