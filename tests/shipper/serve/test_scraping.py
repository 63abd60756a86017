"""``GET /metrics``: what Prometheus is told by ``serve``, who may ask, and how often the bucket is read for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from backupstore.clock import SystemClock
from backupstore.core.measures import NEVER
from backupstore.ports import Document, ObjectStore
from backupstore.settings.kinds import ListenAddress
from backupstore.stores.local import LocalStore
from shipper.inbox import Inbox
from shipper.scrape import Scrape
from shipper.webhooks import Door, Webhooks
from tests.clocks import SettableClock
from tests.harness.s3_servers import free_port
from tests.interleaving import Around
from tests.shipper.cli.handmade import Made
from tests.shipper.cli.program import Program, until

Labels = frozenset[tuple[str, str]]
NODES = {"n1": "dc1", "n2": "dc1"}


class Reads(Around):
    """Keeps which keys were read, and counts listings."""

    def __init__(self, store: ObjectStore) -> None:
        super().__init__(store)
        self.keys: list[str] = []
        self.listings = 0

    def before(self, call: str) -> None:
        self.listings += call in {"list", "entries"}

    def read(self, key: str, *, limit: int = 64 << 20) -> Document:
        self.keys.append(key)
        return super().read(key, limit=limit)


def parsed(text: str) -> dict[tuple[str, Labels], float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def told(text: bytes, name: str, **labels: str) -> float:
    return parsed(text.decode())[name, frozenset(labels.items())]


def asked(port: int, target: str = "/metrics", method: str = "GET", **headers: str) -> tuple[int, str, bytes]:
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, target, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.headers["Content-Type"], answer.read()
    finally:
        connection.close()


@contextmanager
def listening(scrape: Scrape | None, secret: str | None = None) -> Iterator[int]:
    port = free_port()
    door = Door(ListenAddress("127.0.0.1", port), secret)
    webhooks = Webhooks(door, Inbox(10), SystemClock(), scrape.text if scrape else None)
    webhooks.open()
    try:
        yield port
    finally:
        webhooks.close()


def test_every_cluster_of_the_bucket_is_told_of(program: Program) -> None:
    for prefix in ("east", "west"):
        program.maker(prefix).ship("b1", Made("n1", ring=NODES))
        program.maker(prefix).ship("b1", Made("n2", ring=NODES, end="finished" if prefix == "east" else "data"))
        assert program.run("--prefix", prefix, "build-index").code == 0
    text = Scrape(program.store, SystemClock(), None).text()
    assert told(text, "medusa_shipper_complete_backups", cluster="east") == 1
    assert told(text, "medusa_shipper_complete_backups", cluster="west") == 0
    assert told(text, "medusa_shipper_node_incomplete", cluster="west", node="n2") == 1
    assert told(text, "medusa_cluster_backup_seconds_since_backup", cluster="east") < NEVER
    assert told(text, "medusa_cluster_backup_seconds_since_backup", cluster="west") == NEVER
    for node in NODES:
        assert told(text, "medusa_node_backup_seconds_since_backup", cluster="east", node=node) < NEVER
    only = Scrape(program.store, SystemClock(), "west").text()
    assert {dict(labels)["cluster"] for _, labels in parsed(only.decode())} == {"west"}


def test_the_bucket_is_read_once_in_a_while_however_often_somebody_asks(program: Program) -> None:
    program.maker().ship("b1")
    assert program.run("build-index").code == 0
    store, clock = Reads(program.store), SettableClock(1.0)
    scrape = Scrape(store, clock, "")
    first = [scrape.text() for _ in range(5)]
    assert store.keys == ["index/catalog/head.json"], "no purge was ever run"
    assert len(set(first)) == 1
    clock.sleep(14.9)
    scrape.text()
    assert len(store.keys) == 1
    clock.sleep(0.2)
    scrape.text()
    assert len(store.keys) == 2


def test_which_clusters_there_are_is_looked_up_now_and_then(program: Program) -> None:
    program.maker("east").ship("b1")
    store, clock = Reads(program.store), SettableClock(1.0)
    scrape = Scrape(store, clock, None)
    scrape.text()
    at_first = store.listings
    program.maker("west").ship("b1")
    for _ in range(3):
        clock.sleep(16)
        assert "west" not in scrape.text().decode()
    assert store.listings == at_first, "of a cluster without a catalog no purges are listed"
    clock.sleep(300)
    assert told(scrape.text(), "medusa_shipper_report_error", cluster="west") == 1


@pytest.mark.parametrize("prefix", [None, "east"])
def test_what_cannot_be_read_is_told(tmp_path: Path, prefix: str | None) -> None:
    text = Scrape(LocalStore(tmp_path / "bucket"), SystemClock(), prefix).text()
    assert told(text, "medusa_shipper_report_error", cluster=prefix or "") == 1
    assert told(text, "medusa_cluster_backup_seconds_since_backup", cluster=prefix or "") == NEVER


def test_who_may_ask(program: Program) -> None:
    with listening(Scrape(program.store, SystemClock(), ""), "s3cret") as port:
        status, kind, body = asked(port, Authorization="Bearer s3cret")
        assert (status, kind) == (200, "text/plain; version=0.0.4; charset=utf-8")
        assert told(body, "medusa_shipper_report_error", cluster="") == 1
        assert asked(port, "/metrics?secret=s3cret")[0] == 200
        for target, headers in (("/metrics", {}), ("/metrics", {"Authorization": "Bearer x"}), ("/metrics/s3cret", {})):
            status, _, body = asked(port, target, **headers)
            assert status in {401, 404}
            assert b"medusa_" not in body
        assert asked(port, method="HEAD", Authorization="Bearer s3cret")[::2] == (200, b"")
    with listening(None) as port:
        assert asked(port)[0] == 404


def test_serve_answers_prometheus_while_it_serves(tmp_path: Path) -> None:
    port = free_port()
    program = Program(tmp_path, shipper=(f"listen = 127.0.0.1:{port}",))
    program.bucket.mkdir()
    program.maker().ship("b1")
    with program.running("serve") as server:
        server.until_said("taking webhooks at")
        until((program.bucket / "index/catalog/head.json").exists)
        status, _, body = asked(port)
    assert status == 200
    assert told(body, "medusa_shipper_complete_backups", cluster="") == 1
    assert told(body, "medusa_shipper_index_lag_seconds", cluster="") < NEVER
