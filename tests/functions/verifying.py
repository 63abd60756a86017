"""A verify function beside a gateway and a queue, and rings of nodes that are verified."""

from __future__ import annotations

import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from backupstore.core.documents import Findings, Level
from backupstore.core.layout import Layout
from backupstore.operations.findings import read_findings
from backupstore.operations.reading import read_head
from backupstore.operations.reconcile import reconcile
from backupstore.operations.verify import verify
from backupstore.operations.verify_node import Wanted
from backupstore.ports import ObjectStore
from tests.functions.services import Services, services
from tests.harness.lambda_runtime import Answer, Function, deployed
from tests.harness.sqs_server import Message, Queue, batch
from tests.operations.ring import Ring

HANDLER = "functions.verify.handler_aws.handler"
TIMER = {"timer": "verify"}


class RemoteRing(Ring):
    """In a bucket of a real server."""

    def __init__(self, store: ObjectStore, prefix: str) -> None:
        super().__init__(Layout(prefix))
        self._remote = store

    @property
    def store(self) -> ObjectStore:
        return self._remote

    def index(self) -> None:
        """Bring the catalog up to date."""
        reconcile(self.store, self.layout, now=time.time(), revision=lambda: str(time.monotonic_ns()))

    def found(self, level: Level, backup: str = "b") -> Findings | None:
        return read_findings(self.store, self.layout, backup, level)

    def alone(self, level: Level, backup: str = "b") -> Findings:
        """What one process finds."""
        (verified,) = verify(self.store, self.layout, [backup], Wanted(level))
        return verified.findings(now=0.0, revision="")

    def levels(self, backup: str = "b") -> dict[str, bool]:
        """What the head says of its verifications."""
        head = read_head(self.store, self.layout)
        assert head
        (line,) = (line for line in head.backups if line.name == backup)
        return {each.level: each.ok for each in line.levels}

    def left(self) -> list[str]:
        """What lies of rounds."""
        return [stored.key for stored in self.store.list(self.layout.all_rounds())]


class LargeRing(RemoteRing):
    """Sixteen SSTables with 80 KB of data each."""

    def files(self, node: str) -> dict[str, bytes]:
        found = {}
        for number in range(16):
            data = Random(f"{node} {number}").randbytes(80_000)
            found[f"nb-{number}-big-Data.db"] = data
            found[f"nb-{number}-big-Digest.crc32"] = str(zlib.crc32(data)).encode()
        return found


@dataclass(frozen=True)
class World(Services):
    """With a cluster for each test."""

    def settings(self, queue: Queue, prefix: str, **more: str) -> dict[str, str]:
        """What the function's environment says: all data is read."""
        return {
            **self.environment(queue, prefix),
            "MEDUSA_SHIPPER_VERIFY_DATA_SHARE": "100%",
            **more,
        }

    @contextmanager
    def site(
        self,
        prefix: str,
        more: Mapping[str, str] | None = None,
        *,
        processes: int = 1,
        ring: RemoteRing | None = None,
    ) -> Iterator[Site]:
        """A cluster with a complete backup, a queue, and the function for both; ``more`` settings for it."""
        ring = ring or RemoteRing(self.store, prefix)
        ring.back_up("b")
        ring.index()
        queue = self.queues.queue(prefix)
        with deployed(
            self.place, HANDLER, self.settings(queue, prefix, **(more or {})), processes=processes
        ) as function:
            yield Site(ring, queue, function)


def world(folder: Path) -> AbstractContextManager[World]:
    return services(World, folder, "verify")


@dataclass(frozen=True)
class Site:
    """One cluster, its queue and its function."""

    ring: RemoteRing
    queue: Queue
    function: Function

    def begin(self, event: Any = TIMER) -> list[Message]:  # noqa: ANN401 -- any JSON
        """Let the timer tell; the messages that there are then."""
        answer = self.function.invoke(event)
        assert answer.ok, f"{answer.document}\n{self.function.said()[-3000:]}"
        return self.queue.receive_all()

    def work(self, messages: Sequence[Message], limit: float = 60.0) -> list[str]:
        """Hand these to the function at once; the ids of those that come again."""
        answer: Answer = self.function.invoke(batch(messages), limit=limit)
        assert answer.ok, self.function.said()[-3000:]
        failed = [one["itemIdentifier"] for one in answer.document["batchItemFailures"]]
        self.queue.settle(messages, failed)
        return failed
