"""Index, told as stories: what happened, then what must be true."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest

from backupstore.core import layout as grammar
from backupstore.core.documents import Latest
from backupstore.core.events import Subject
from backupstore.core.keys import RowKey
from backupstore.core.layout import Layout
from backupstore.errors import Conflict, Corrupt, Denied, Retryable
from backupstore.operations.index import IndexReport, index
from backupstore.ports import Document, ObjectStore, StoredObject
from tests.interleaving import Around
from tests.operations.lives import manifest, tokenmap
from tests.operations.stories import Story


class Writes(Around):
    """Notes each write and delete in order."""

    def __init__(self, store: ObjectStore) -> None:
        super().__init__(store)
        self.log: list[str] = []

    def put(self, key: str, body: bytes) -> StoredObject:
        self.log.append(key.rsplit("/", 1)[1])
        return super().put(key, body)

    def delete(self, keys: Iterable[str]) -> None:
        for key in keys:
            self.log.append("-" + key.rsplit("/", 1)[1])
            super().delete([key])


@pytest.fixture
def story() -> Story:
    return Story()


def test_a_backup_is_complete_when_the_last_node_lands(story: Story) -> None:
    story.ship("n1", "b")
    story.index(("n1", "b"))
    (line,) = story.head().backups
    assert (line.state, line.missing, line.completed, line.expected) == ("incomplete", ("n2",), 1, 2)
    story.ship("n2", "b", manifest=None)
    story.index(("n2", "b"))
    assert story.head().backups[0].incomplete == ("n2",)
    story.store.put(story.meta("n2", "b", grammar.MANIFEST), manifest("p/n2/b/data/"))
    story.index(("n2", "b"))
    (line,) = story.head().backups
    assert (line.state, line.size, line.objects) == ("complete", 14, 2)
    assert line.finished == story.fact("n2", "b").finished
    assert story.marker("n2") == b"b"


def test_doing_it_again_writes_nothing(story: Story) -> None:
    story.ship("n1", "b")
    assert story.index(("n1", "b")).written
    assert story.index(("n1", "b")) == IndexReport()


def test_an_event_about_nothing_writes_nothing(story: Story) -> None:
    assert story.index(("n9", "x")) == IndexReport()
    assert list(story.store.list("")) == []


def test_two_clusters_in_one_batch(story: Story) -> None:
    other = Story(layout=Layout(), bucket=story.bucket)
    story.ship("n1", "b")
    other.ship("n1", "b")
    found = index(story.store, [Subject("p", "n1", "b"), Subject("", "n1", "b")], now=1.0, revision=story.revision)
    assert {"p/index/catalog/head.json", "index/catalog/head.json"} <= set(found.written)


def test_rows_of_ours_are_written_in_an_order_that_stock_can_read_at_any_time(story: Story) -> None:
    story.ship("n1", "b", differential=b"differential", manifest=manifest("p/n1/data/"))
    writes = Writes(story.indexer)
    index(writes, [Subject("p", "n1", "b")], now=1.0, revision=story.revision)
    assert writes.log == [
        "schema_n1.cql",
        "started_n1_1.timestamp",
        "differential_n1",
        "tokenmap_n1.json",
        "manifest_n1.json",
        "finished_n1_6.timestamp",
        "tokenmap.json",
        "backup_name.txt",
    ]
    rows = {name: story.store.read(f"p/index/backup_index/b/{name}").body for name in writes.log[:6]}
    assert rows["started_n1_1.timestamp"] == b"1"
    assert rows["differential_n1"] == b"differential"
    assert rows["tokenmap_n1.json"] == story.store.read(story.meta("n1", "b", grammar.TOKENMAP)).body
    story.remove(story.layout.meta_folder("n1", "b"))
    writes.log.clear()
    index(writes, [Subject("p", "n1", "b")], now=1.0, revision=story.revision)
    assert writes.log[0] == "-tokenmap_n1.json"
    assert story.rows("b") == []
    assert story.marker("n1") is None


@pytest.mark.parametrize(
    "bad", [{"tokenmap": b"{"}, {"tokenmap": b"{}"}, {"tokenmap": tokenmap({"n2": "dc1"})}, {"tokenmap": None}]
)
def test_a_row_that_would_stop_stock_is_not_written(story: Story, bad: dict[str, bytes | None]) -> None:
    story.ship("n1", "b", **bad)
    story.index(("n1", "b"))
    assert story.rows("b") == []


def test_a_manifest_that_cannot_be_read_has_no_row(story: Story) -> None:
    story.ship("n1", "b", manifest=b"{}")
    story.index(("n1", "b"))
    assert story.rows("b") == ["schema_n1.cql", "started_n1_1.timestamp", "tokenmap_n1.json"]


def test_a_large_manifest_is_not_copied(story: Story) -> None:
    class Small(Around):
        """Whose limit of 64 MiB is 200 bytes."""

        def read(self, key: str, *, limit: int = 64 << 20) -> Document:
            return super().read(key, limit=200 if key.endswith("manifest.json") else limit)

    story.ship("n1", "b", manifest=manifest("p/n1/b/data/") + b" " * 200)
    index(Small(story.indexer), [Subject("p", "n1", "b")], now=1.0, revision=story.revision)
    assert "manifest_n1.json" not in story.rows("b")
    assert "finished_n1_5.timestamp" in story.rows("b")


def test_rows_of_an_abandoned_backup_go(story: Story) -> None:
    story.ship("n1", "b")
    story.ship("n1", "a")
    story.index(("n1", "b"), ("n1", "a"))
    assert story.marker("n1") == b"a"
    story.store.put(story.meta("n1", "a", grammar.ABANDONED), b"{}")
    story.index(("n1", "a"))
    assert story.rows("a") == []
    assert story.rows("b")
    assert [line.name for line in story.head().backups] == ["b"]
    assert story.head().latest == {"n1": Latest(name="b", finished=5.0)}
    assert story.marker("n1") == b"b"


def test_rows_of_stock_are_let_alone_while_its_backup_exists(story: Story) -> None:
    story.stock("n1", "b")
    story.store.put("p/index/backup_index/b/incremental_n1", b"")
    before = story.rows("b")
    report = story.index(("n1", "b"))
    assert story.rows("b") == before
    assert not [key for key in (*report.written, *report.removed) if "backup_index" in key]


def test_rows_of_stock_go_when_its_backup_is_gone_and_nobody_elses(story: Story) -> None:
    for node in ("n1", "n10", "x_n1"):
        story.stock(node, "b")
        story.stock(node, "b1")
    story.store.put("p/index/backup_index/b/console-made.txt", b"")
    story.index(("n1", "b"), ("n10", "b"))
    story.remove(story.layout.meta_folder("n1", "b"))
    report = story.index(("n1", "b"))
    assert len(report.removed) == 5 + 2
    assert {key for key in report.removed if "backup_index" in key} == {
        story.layout.row(row)
        for row in (
            RowKey("b", "tokenmap", "n1"),
            RowKey("b", "schema", "n1"),
            RowKey("b", "manifest", "n1"),
            RowKey("b", "started", "n1", 1),
            RowKey("b", "finished", "n1", 2),
        )
    }


def test_rows_of_an_earlier_life_of_a_name_are_replaced(story: Story) -> None:
    story.ship("n1", "b", tokenmap=tokenmap({"n1": "dc1"}))
    story.index(("n1", "b"))
    story.remove(story.layout.meta_folder("n1", "b"))
    story.ship("n1", "b")
    story.index(("n1", "b"))
    assert story.store.read("p/index/backup_index/b/tokenmap_n1.json").body == tokenmap({"n1": "dc1", "n2": "dc1"})
    assert len(story.rows("b")) == 5


def test_a_backup_that_is_gone_leaves_an_empty_document_that_counts_as_none(story: Story) -> None:
    story.ship("n1", "b")
    story.index(("n1", "b"))
    story.remove("p/n1/")
    story.index(("n1", "b"))
    assert b'"nodes":{}' in story.store.read(story.layout.catalog_backup("b")).body
    assert story.head().backups == ()
    assert story.head().rosters == ()
    assert story.head().latest == {}


def test_the_head_is_made_even_when_the_document_was_there(story: Story) -> None:
    story.ship("n1", "b")
    story.index(("n1", "b"))
    story.store.delete([story.layout.head()])
    assert story.layout.head() in story.index(("n1", "b")).written


def test_each_write_has_its_own_revision(story: Story) -> None:
    story.ship("n1", "b")
    story.index(("n1", "b"))
    first = story.document("b").revision
    story.ship("n2", "b")
    story.index(("n2", "b"))
    assert story.document("b").revision != first


def test_a_document_that_cannot_be_read_stops_only_itself(story: Story) -> None:
    story.ship("n1", "a")
    story.ship("n1", "b")
    story.store.put(story.layout.catalog_backup("a"), b"rubbish")
    with pytest.raises(Corrupt) as caught:
        story.index(("n1", "a"), ("n1", "b"))
    assert caught.value.key == story.layout.catalog_backup("a")
    assert "build-index" in caught.value.hint
    assert [line.name for line in story.head().backups] == ["b"]


def test_a_backup_that_may_not_be_read_fails_alone(story: Story) -> None:
    class Forbidding(Around):
        def list(self, folder: str) -> Iterator[StoredObject]:
            if folder == story.layout.meta_folder("n1", "a"):
                raise Denied(folder)
            return super().list(folder)

    for name in ("a", "b"):
        story.ship("n1", name)
    wanted = [Subject("p", "n1", name) for name in ("a", "b")]
    report = index(Forbidding(story.indexer), wanted, now=1.0, revision=story.revision)
    assert set(report.failed) == {wanted[0]}
    assert [line.name for line in story.head().backups] == ["b"]


def test_a_store_that_gives_no_answer_is_not_asked_about_each_backup(story: Story) -> None:
    asked = []

    class Silent(Around):
        def before(self, call: str) -> None:
            asked.append(call)
            raise Retryable(call)

    other = Story(layout=Layout(), bucket=story.bucket)
    wanted = [Subject(prefix, "n1", name) for prefix in ("p", other.layout.prefix) for name in ("a", "b", "c")]
    report = index(Silent(story.store), wanted, now=1.0, revision=story.revision)
    assert set(report.failed) == set(wanted)
    assert len(asked) == 2, "once for each cluster"


def test_writers_without_end_are_an_error_that_may_be_tried_again(story: Story) -> None:
    class Busy(Around):
        def create(self, key: str, body: bytes) -> StoredObject:  # noqa: ARG002 # always too late
            raise Conflict(key)

    story.ship("n1", "b")
    report = index(Busy(story.indexer), [Subject("p", "n1", "b")], now=1.0, revision=story.revision)
    (why,) = report.failed.values()
    assert isinstance(why, Retryable)
    assert "50 times" in why.message


def test_two_datacenters_under_one_name(story: Story) -> None:
    story.ship("n1", "b")
    story.ship("n2", "b")
    story.ship("m1", "b", tokenmap=tokenmap({"m1": "dc2", "m2": "dc2"}))
    story.index(("n1", "b"), ("n2", "b"), ("m1", "b"))
    (line,) = story.head().backups
    assert (line.state, line.missing, line.expected) == ("incomplete", ("m2",), 4)
    assert len(story.document("b").rings) == 2
