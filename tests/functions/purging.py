"""A purge function beside a gateway and a queue, and clusters that both it and the command line may purge."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from backupstore.core.documents import Mode, decode
from backupstore.core.layout import Layout
from backupstore.core.purge_records import PurgeRecord
from backupstore.operations.reconcile import reconcile
from tests.functions.services import Services, services
from tests.functions.world import BUCKET
from tests.harness.lambda_runtime import Answer, Function, deployed
from tests.harness.sqs_server import Message, Queue, batch
from tests.operations.fleet import shared_and_own
from tests.shipper.cli.handmade import Made, Maker

HANDLER = "functions.purge.handler_aws.handler"
NODES = ("n1", "n2", "n3")
_ROUNDS = 10
TIMER = {"timer": "purge"}


@dataclass(frozen=True)
class World(Services):
    """With a cluster for each test."""

    def settings(self, queue: Queue, prefix: str) -> dict[str, str]:
        """What the function's environment says: three complete backups stay."""
        return {
            **self.environment(queue, prefix),
            "MEDUSA_STORAGE_MAX_BACKUP_COUNT": "3",
        }

    def write_in_two_days(self, key: str) -> None:
        """As if it were later by the store's clock."""
        path = self.folder / "gateway" / "data" / BUCKET / key
        os.utime(path, times=(path.stat().st_mtime + 2 * 86_400,) * 2)

    @contextmanager
    def site(self, prefix: str, more: Mapping[str, str] | None = None, *, processes: int = 1) -> Iterator[Site]:
        """A cluster with six backups, of which three may go; a queue, and the function for both."""
        cluster = Cluster(self, Layout(prefix))
        cluster.fill()
        queue = self.queues.queue(prefix)
        settings = {**self.settings(queue, prefix), **(more or {})}
        with deployed(self.place, HANDLER, settings, processes=processes) as function:
            yield Site(cluster, queue, function)


def world(folder: Path) -> AbstractContextManager[World]:
    return services(World, folder, "purge")


@dataclass(frozen=True)
class Cluster:
    """A cluster of its own in the bucket."""

    world: World
    layout: Layout

    def fill(self) -> None:
        """Six complete differential backups with a file that all share, one of their own each; and a full one among them."""
        for number in range(1, 7):
            name = f"b{number}"
            mode: Mode = "full" if number == 2 else "differential"
            for node in NODES:
                made = Made(node, mode, dict.fromkeys(NODES, "dc1"), shared_and_own(f"d{number}"))
                Maker(self.world.store, self.layout).ship(name, made)
        self.index()

    def index(self) -> None:
        reconcile(self.world.store, self.layout, now=2e9, revision=lambda: os.urandom(8).hex())

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """The command line over this cluster."""
        settings = self.world.settings(Queue("", None), self.layout.prefix)
        command = [sys.executable, "-m", "shipper", "--config-file", str(self._config()), *arguments]
        environment = {**os.environ, **settings}
        return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)

    def _config(self) -> Path:
        path = self.world.folder / "medusa.ini"
        path.write_text("[storage]\nstorage_provider = s3_compatible\n", encoding="utf-8")
        return path

    def contents(self) -> dict[str, bytes]:
        """All that is left of it by key without the prefix; of what is by chance or by the time, only that it is there."""
        found: dict[str, bytes] = {}
        layout, store = self.layout, self.world.store
        for folder in (layout.root, layout.announcements()):
            for stored in store.list(folder):
                key = stored.key.replace(layout.prefix, "PREFIX", 1)
                if stored.key.startswith((layout.purges(), layout.all_condemned())):
                    found[key.rpartition("/")[0]] = b""
                elif key.endswith(".timestamp"):
                    found[key.rpartition("_")[0]] = b""
                elif stored.key.startswith(layout.catalog()):
                    found[key] = self._catalogued(stored.key)
                else:
                    found[key] = store.read(stored.key).body.replace(layout.prefix.encode(), b"PREFIX")
        return found

    def _catalogued(self, key: str) -> bytes:
        """A document of the catalog without what follows from the moment."""
        document = json.loads(self.world.store.read(key).body)
        if "backups" in document:
            return json.dumps([line["name"] for line in document["backups"]]).encode()
        return json.dumps(sorted(document["nodes"])).encode()

    def backups(self, node: str = "n1") -> list[str]:
        folder = self.layout.node(node)
        children = (child[len(folder) : -1] for child in self.world.store.entries(folder).folders)
        return [name for name in children if name not in {"data", "data-v"}]

    def records(self) -> list[PurgeRecord]:
        """Oldest first."""
        store = self.world.store
        listed = [stored.key for stored in store.list(self.layout.purges())]
        return sorted((decode(PurgeRecord, store.read(key).body, key) for key in listed), key=lambda one: one.created)

    def states(self) -> list[str]:
        head = json.loads(self.world.store.read(self.layout.head()).body)
        return [f"{line['name']} {line['state']}" for line in head["backups"]]


@dataclass(frozen=True)
class Site:
    """One cluster, its queue and its function."""

    cluster: Cluster
    queue: Queue
    function: Function

    def plan(self, event: Any = TIMER, limit: float = 30.0) -> Answer:  # noqa: ANN401 -- any JSON
        return self.function.invoke(event, limit=limit)

    def work(self, messages: Sequence[Message], limit: float = 30.0) -> list[str]:
        """Hand these to the function at once; the ids of those that come again."""
        answer = self.function.invoke(batch(messages), limit=limit)
        assert answer.ok, self.function.said()[-3000:]
        failed = [one["itemIdentifier"] for one in answer.document["batchItemFailures"]]
        self.queue.settle(messages, failed)
        return failed

    def drain(self, random: Random, *, senders: int = 2) -> int:
        """Hand over all there is, in any order, some of it twice, some at the same time; how often a message failed."""
        failures = 0
        for _ in range(_ROUNDS):
            messages = self.queue.receive_all()
            if not messages:
                return failures
            some = [*messages, *random.sample(messages, len(messages) // 2)]
            random.shuffle(some)
            with ThreadPoolExecutor(senders) as pool:
                failures += sum(map(len, pool.map(lambda one: self.work([one]), some)))
        raise AssertionError(f"messages come again and again: {self.function.said()[-3000:]}")
