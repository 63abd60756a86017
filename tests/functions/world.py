"""A function beside a gateway: backups are written there, and what the gateway tells of them is kept."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from backupstore.core import layout as grammar
from backupstore.core.keys import RowKey
from backupstore.core.layout import Layout
from backupstore.operations.reconcile import reconcile
from backupstore.stores.s3.store import S3Store
from tests.functions.routes import Record
from tests.functions.sink import Sink, sink
from tests.harness.lambda_runtime import Function, bundle, deployed
from tests.harness.s3_servers import S3Server, versitygw
from tests.harness.s3_stores import opened
from tests.shipper.cli.handmade import Made, Maker

BUCKET = "backups"
HANDLER = "functions.indexer.handler_aws.handler"


@dataclass(frozen=True)
class World:
    """One gateway, one bucket, one function in two processes; a cluster (``Cluster``) for each test."""

    folder: Path
    server: S3Server
    store: S3Store
    told: Sink
    function: Function

    @property
    def settings(self) -> dict[str, str]:
        """What the function's environment says."""
        return settings_of(self.server)

    def cluster(self, prefix: str) -> Cluster:
        return Cluster(self, Layout(prefix))


def settings_of(server: S3Server) -> dict[str, str]:
    return {
        "MEDUSA_STORAGE_STORAGE_PROVIDER": "s3_compatible",
        "MEDUSA_STORAGE_BUCKET_NAME": BUCKET,
        "MEDUSA_STORAGE_HOST": server.host,
        "MEDUSA_STORAGE_PORT": str(server.port),
        "MEDUSA_STORAGE_SECURE": "False",
        "MEDUSA_STORAGE_S3_ADDRESSING_STYLE": "path",
        "AWS_ACCESS_KEY_ID": server.access,
        "AWS_SECRET_ACCESS_KEY": server.secret,
    }


@contextmanager
def world(folder: Path) -> Iterator[World]:
    place = bundle(folder / "indexer", "indexer")
    (folder / "gateway").mkdir()
    with sink() as told, versitygw(folder / "gateway", webhook=told.url) as server:
        store = opened(server, server.bucket(BUCKET))
        with deployed(place, HANDLER, settings_of(server), processes=2) as function:
            yield World(folder, server, store, told, function)
        store.close()


@dataclass(frozen=True)
class Cluster:
    """A cluster of its own in the bucket."""

    world: World
    layout: Layout

    def ship(self, *backups: tuple[str, str], made: Made | None = None) -> None:
        """Node backups, by node and name; as ours, unless ``made`` says otherwise."""
        made = made or Made()
        for node, name in backups:
            each = Made(node, made.mode, {"n1": "dc1", "n2": "dc1"}, by_stock=made.by_stock, end=made.end)
            Maker(self.world.store, self.layout).ship(name, each)

    def write_rows(self, node: str, backup: str) -> None:
        """What stock writes into its index beside a backup of its own."""
        store, layout = self.world.store, self.layout
        for kind, file in (("schema", grammar.SCHEMA), ("tokenmap", grammar.TOKENMAP), ("manifest", grammar.MANIFEST)):
            store.put(layout.row(RowKey(backup, kind, node)), store.read(layout.meta(node, backup, file)).body)
        store.put(layout.row(RowKey(backup, "differential", node)), b"differential")
        for kind, file in (("started", grammar.SCHEMA), ("finished", grammar.MANIFEST)):
            stamp = int(store.head(layout.meta(node, backup, file)).modified)
            store.put(layout.row(RowKey(backup, kind, node, stamp)), str(stamp).encode())

    def remove(self, node: str, backup: str) -> list[str]:
        """Delete a node backup, its intent last; the keys."""
        store = self.world.store
        keys = [held.key for held in store.list(self.layout.backup(node, backup))]
        keys.sort(key=lambda key: key.endswith(grammar.SCHEMA))
        store.delete(keys)
        return keys

    def events(self, *, removed: Sequence[str] = ()) -> list[Record]:
        """What the gateway told of this cluster: at least of everything that is there, and of what was removed."""
        folders = (self.layout.root, self.layout.announcements())
        held = (stored.key for folder in folders for stored in self.world.store.list(folder))
        return self.world.told.of(self.layout.prefix, created=held, removed=removed)

    def states(self) -> dict[str, str]:
        head = json.loads(self.world.store.read(self.layout.head()).body)
        return {line["name"]: line["state"] for line in head["backups"]}

    def derived(self) -> dict[str, bytes]:
        """Everything that an indexer writes, but for what changes with each write, and what says "gone"."""
        found = {}
        for folder in (self.layout.catalog(), self.layout.all_rows(), self.layout.all_latest()):
            for stored in self.world.store.list(folder):
                body = self.world.store.read(stored.key).body
                if folder == self.layout.catalog():
                    document = {**json.loads(body), "revision": "", "checked": 0, "looked": 0, "repaired": 0}
                    if document.get("nodes") == {}:
                        continue
                    body = json.dumps(document).encode()
                found[stored.key] = body
        return found

    def rebuilt(self) -> dict[str, bytes]:
        """The same, made again from nothing but the backups."""
        store = self.world.store
        for folder in (self.layout.catalog(), self.layout.all_rows(), self.layout.all_latest()):
            store.delete([stored.key for stored in store.list(folder)])
        report = reconcile(store, self.layout, now=2e9, revision=lambda: "r", everything=True)
        assert not report.unreadable
        return self.derived()


def only_below(records: Sequence[Record], *prefixes: str) -> list[Record]:
    """What hosts tell that can filter by prefix and by nothing else."""
    return [record for record in records if record["s3"]["object"]["key"].startswith(prefixes)]
