"""Google's cloud in one place: a bucket that tells a topic of its objects, topics that push, and functions in their runtime."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import cast

from backupstore.core.layout import Layout
from backupstore.stores.gcs.store import GcsStore
from tests.functions.world import Cluster, World
from tests.harness.gcp_runtime import CloudFunction, served
from tests.harness.gcs_server import GcsServer, fake_gcs, opened
from tests.harness.lambda_runtime import bundle
from tests.harness.pubsub_emulator import Message, PubSub, pubsub
from tests.shipper.cli.program import until

BUCKET = "backups"
DEAD = "dead"
OBJECTS = "objects"


@dataclass(frozen=True)
class Google:
    """``held`` has the functions that run."""

    folder: Path
    pubsub: PubSub
    server: GcsServer
    store: GcsStore
    held: ExitStack
    dead: list[Message] = field(default_factory=list)

    @property
    def settings(self) -> dict[str, str]:
        """What the environment of every function says."""
        return {**self.server.settings(BUCKET), "PUBSUB_EMULATOR_HOST": self.pubsub.host}

    def run(self, name: str, *topics: str, **settings: str) -> CloudFunction:
        """Deploy a function, and have these topics pushed to it."""
        folder = bundle(self.folder / f"{name}-{uuid.uuid4().hex[:6]}", name)
        source = f"functions/{name}/handler_gcp.py"
        function = self.held.enter_context(served(folder, source, {**self.settings, **settings}))
        for topic in topics:
            self.pubsub.pushed_to(function.url, topic, dead=f"projects/lab/topics/{DEAD}")
        return function

    def cluster(self, prefix: str) -> Cluster:
        """A cluster of its own in the bucket."""
        return Cluster(cast("World", self), Layout(prefix))  # it is asked for the store alone

    def until_dead(self, part: str) -> Message:
        """Wait until a message with this in it was given up."""

        def found() -> list[Message]:
            self.dead.extend(self.pubsub.pull(DEAD))
            return [one for one in self.dead if part in one.data.decode() or part in one.attributes.values()]

        until(lambda: bool(found()), 60)
        return found()[0]


def push(
    function: CloudFunction, data: bytes = b"", attributes: Mapping[str, str] | None = None, *, attempt: int = 1
) -> int:
    """Call a function as Pub/Sub does; the status of its answer: only 2xx acknowledges."""
    message = {"data": base64.b64encode(data).decode(), "attributes": dict(attributes or {}), "messageId": "1"}
    message["publishTime"] = "2026-11-23T02:00:00Z"
    body = json.dumps({"message": message, "subscription": "s", "deliveryAttempt": attempt}).encode()
    with closing(HTTPConnection("127.0.0.1", function.port, timeout=90)) as connection:
        connection.request("POST", "/projects/lab/topics/direct", body, {"Content-Type": "application/json"})
        return connection.getresponse().status


@contextmanager
def google(folder: Path) -> Iterator[Google]:
    """All of it but the functions."""
    (folder / "gcs").mkdir()
    with pubsub(folder) as running, ExitStack() as held:
        running.topic(OBJECTS)
        running.pulled_by(DEAD, running.topic(DEAD))
        server = held.enter_context(fake_gcs(folder / "gcs", topic=OBJECTS, emulator=running.host))
        server.bucket(BUCKET)
        yield Google(folder, running, server, opened(server, BUCKET), held)
