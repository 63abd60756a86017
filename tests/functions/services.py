"""A gateway with a bucket, a queue service, and the unpacked bundle of a function that runs beside them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from backupstore.stores.s3.store import S3Store
from tests.functions.world import BUCKET, settings_of
from tests.harness.lambda_runtime import bundle
from tests.harness.s3_servers import S3Server, versitygw
from tests.harness.s3_stores import opened
from tests.harness.sqs_server import Queue, SqsServer, sqs


@dataclass(frozen=True)
class Services:
    """One gateway, one bucket, one queue service; functions and clusters of each test's own."""

    folder: Path
    place: Path
    server: S3Server
    queues: SqsServer
    store: S3Store

    def environment(self, queue: Queue, prefix: str) -> dict[str, str]:
        """Where a function finds them."""
        return {
            **settings_of(self.server),
            "AWS_ENDPOINT_URL_SQS": self.queues.url,
            "WORK_QUEUE": queue.url,
            "MEDUSA_STORAGE_PREFIX": prefix,
        }


W = TypeVar("W", bound=Services)


@contextmanager
def services(kind: type[W], folder: Path, function: str) -> Iterator[W]:
    """Run them for the function of that name."""
    place = bundle(folder / function, function)
    (folder / "gateway").mkdir()
    with versitygw(folder / "gateway") as server, sqs(folder) as queues:
        store = opened(server, server.bucket(BUCKET))
        yield kind(folder, place, server, queues, store)
        store.close()
