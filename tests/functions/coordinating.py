"""A coordinator function beside a gateway that tells of its objects, clusters whose nodes the test plays, and secrets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3

from backupstore.core.job_documents import OVER
from backupstore.stores.s3.store import S3Store
from tests.functions.routes import Record
from tests.functions.sink import Sink, sink
from tests.functions.world import BUCKET, settings_of
from tests.harness.lambda_runtime import bundle
from tests.harness.s3_servers import REGION, S3Server, versitygw
from tests.harness.s3_stores import opened
from tests.harness.sqs_server import sqs
from tests.played_nodes import Pair, PlayedCluster, cluster, pair

HANDLER = "functions.coordinator.handler_aws.handler"
TIMER = {"timer": "coordinate"}


@dataclass(frozen=True)
class World:
    """One gateway, one bucket, one place for secrets, one pair of keys; a cluster for each test."""

    folder: Path
    place: Path
    server: S3Server
    store: S3Store
    told: Sink
    cloud: str
    keys: Pair

    def settings(self, **more: str) -> dict[str, str]:
        """What the function's environment says; the key in it, if nothing else is said."""
        given = {name: value for name, value in more.items() if value}
        if "SIGNING_KEY_SECRET" not in more and "SIGNING_KEY" not in more:
            given["SIGNING_KEY"] = self.keys.line
        return {
            **settings_of(self.server),
            "AWS_ENDPOINT_URL_SECRETS_MANAGER": self.cloud,
            "AWS_ENDPOINT_URL_SSM": self.cloud,
            **given,
        }

    def client(self, service: str) -> Any:  # noqa: ANN401 -- Amazon's own, without types
        """Amazon's own client, to look and to write from outside."""
        session: Any = boto3.session.Session()
        return session.client(
            service,
            endpoint_url=self.cloud,
            region_name=REGION,
            aws_access_key_id=self.server.access,
            aws_secret_access_key=self.server.secret,
        )

    def cluster(self, prefix: str) -> PlayedCluster:
        return cluster(self.store, prefix, self.keys.keys)

    def events(self, there: PlayedCluster) -> list[Record]:
        """What the gateway told of the cluster: at least of everything that operators and nodes have said by now."""
        folders = (there.layout.all_job_requests(), there.layout.all_job_states())
        keys = [stored.key for folder in folders for stored in self.store.list(folder)]
        found = self.told.of(there.layout.prefix, created=keys, removed=())
        return [record for record in found if record["s3"]["object"]["key"] in keys]


@contextmanager
def world(folder: Path) -> Iterator[World]:
    place = bundle(folder / "coordinator", "coordinator")
    (folder / "gateway").mkdir()
    with sink() as told, versitygw(folder / "gateway", webhook=told.url) as server, sqs(folder) as cloud:
        store = opened(server, server.bucket(BUCKET))
        yield World(folder, place, server, store, told, cloud.url, pair(folder / "keys"))
        store.close()


def is_over(there: PlayedCluster, job: str) -> bool:
    return there.phase(job) in OVER
