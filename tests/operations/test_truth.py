"""What a meta folder says, and how what cannot be read is told."""

from __future__ import annotations

import pytest

from backupstore.core import layout as grammar
from backupstore.core.documents import Place
from backupstore.errors import NotFound, Retryable
from backupstore.operations.truth import GONE, node_backups, read_fact
from backupstore.ports import Document, ObjectStore, StoredObject
from tests.interleaving import Around
from tests.operations.lives import manifest, tokenmap
from tests.operations.stories import Story


class Noting(Around):
    """Notes what is read."""

    def __init__(self, store: ObjectStore) -> None:
        super().__init__(store)
        self.reads: list[str] = []

    def read(self, key: str, *, limit: int = 64 << 20) -> Document:
        self.reads.append(key)
        return super().read(key, limit=limit)

    def before(self, call: str) -> None:
        if call == "fetch":
            self.reads.append(call)


@pytest.fixture
def story() -> Story:
    return Story()


def test_a_finished_backup_of_ours(story: Story) -> None:
    story.ship("n1", "b", differential=b"differential", manifest=manifest("p/n1/data/"))
    fact, ring = read_fact(story.store, story.layout, node="n1", backup="b")
    assert fact
    assert (fact.started, fact.finished, fact.writer, fact.mode, fact.attempts) == (
        1.0,
        6.0,
        "shipper",
        "differential",
        1,
    )
    assert (fact.host_id, fact.size, fact.objects, fact.corrupt, fact.problem) == ("host-n1", 7, 1, 0, None)
    assert (fact.server_type, fact.release_version) == ("cassandra", "5.0.6")
    assert ring == {"n1": Place(dc="dc1", rack="r1", tokens=1), "n2": Place(dc="dc1", rack="r1", tokens=1)}


def test_a_backup_of_stock_that_has_only_started(story: Story) -> None:
    story.store.put(story.meta("n1", "b", grammar.SCHEMA), b"schema")
    fact, ring = read_fact(story.store, story.layout, node="n1", backup="b")
    assert fact
    assert (fact.writer, fact.mode, fact.finished, fact.ring, fact.release_version) == (
        "stock",
        "full",
        None,
        None,
        "unknown",
    )
    assert ring is None


def test_without_a_schema_there_is_no_backup(story: Story) -> None:
    story.ship("n1", "b", schema=None)
    assert read_fact(story.store, story.layout, node="n1", backup="b") == GONE


def test_what_is_known_is_not_read_again(story: Story) -> None:
    story.ship("n1", "b")
    store = Noting(story.store)
    known = read_fact(store, story.layout, node="n1", backup="b")
    assert len(store.reads) == 4
    assert read_fact(store, story.layout, node="n1", backup="b", known=known) == known
    assert len(store.reads) == 4
    assert read_fact(store, story.layout, node="n1", backup="b", known=known._replace(ring=None)) == known
    assert len(store.reads) == 8
    story.store.put(story.meta("n1", "b", grammar.TOKENMAP), tokenmap({"n1": "dc1", "n3": "dc1"}))
    assert read_fact(store, story.layout, node="n1", backup="b", known=known) != known


BAD: dict[str, dict[str, bytes | None]] = {
    "no manifest": {"manifest": b"{}"},
    "half a manifest": {"manifest": manifest("p/n1/b/data/")[:-3]},
    "an empty manifest": {"manifest": b"[]"},
    "another node's data": {"manifest": manifest("p/n2/data/")},
    "another backup's data": {"manifest": manifest("p/n1/c/data/")},
    "a path that climbs": {"manifest": manifest("p/n1/data/../../")},
    "a bad tokenmap": {"tokenmap": b"{"},
    "no tokenmap": {"tokenmap": None},
    "a bad attempt": {"attempt": b"[]"},
    "an attempt at another backup": {"attempt": None},
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_read_is_a_problem_and_never_good(story: Story, name: str) -> None:
    story.ship("n1", "b", **BAD[name])
    if name.startswith("an attempt"):
        story.ship("n1", "other")
        other = story.store.read(story.layout.attempt("n1", "other", 1)).body
        story.store.put(story.layout.attempt("n1", "b", 1), other)
    fact, _ = read_fact(story.store, story.layout, node="n1", backup="b")
    assert fact
    assert fact.problem
    assert fact.finished is not None
    story.index(("n1", "b"))
    (line,) = [line for line in story.head().backups if line.name == "b"]
    assert line.state == "incomplete"
    assert "n1" not in story.head().latest


@pytest.mark.parametrize("body", [b"", b"[]", b"\xff", b'{"server_type": 1, "release_version": "\\n"}', b"[" * 99_999])
def test_an_unreadable_version_is_only_unknown(story: Story, body: bytes) -> None:
    story.ship("n1", "b", version=body)
    fact, _ = read_fact(story.store, story.layout, node="n1", backup="b")
    assert fact
    assert (fact.problem, fact.server_type, fact.release_version) == (None, "cassandra", "unknown")


def test_the_manifest_of_an_abandoned_backup_is_not_read(story: Story) -> None:
    story.ship("n1", "b", abandoned=b"{}", manifest=b"rubbish")
    fact, _ = read_fact(story.store, story.layout, node="n1", backup="b")
    assert fact
    assert (fact.abandoned, fact.problem, fact.objects) == (True, None, 0)


def test_the_latest_attempt_counts(story: Story) -> None:
    story.ship("n1", "b")
    first = story.store.read(story.layout.attempt("n1", "b", 1)).body
    story.store.put(
        story.layout.attempt("n1", "b", 10),
        first.replace(b'"attempt":1', b'"attempt":10').replace(b'"tables":[]', b'"tables":["k.t"]'),
    )
    story.store.put(story.layout.attempt("n1", "b", 9), b"rubbish")
    fact, _ = read_fact(story.store, story.layout, node="n1", backup="b")
    assert fact
    assert (fact.attempts, fact.partial, fact.problem) == (10, True, None)


def test_what_is_deleted_while_it_is_read_is_looked_at_again(story: Story) -> None:
    story.ship("n1", "b")

    class Deleting(Around):
        def read(self, key: str, *, limit: int = 64 << 20) -> Document:
            story.remove(story.layout.meta_folder("n1", "b"))
            return super().read(key, limit=limit)

    assert read_fact(Deleting(story.store), story.layout, node="n1", backup="b") == GONE


def test_a_listing_that_never_agrees_is_tried_later(story: Story) -> None:
    story.ship("n1", "b")

    class Ghostly(Around):
        def fetch(self, key: str, sink: object) -> StoredObject:  # noqa: ARG002 # nothing is there
            raise NotFound(key)

    with pytest.raises(Retryable):
        read_fact(Ghostly(story.store), story.layout, node="n1", backup="b")


def test_where_node_backups_may_lie(story: Story) -> None:
    story.ship("n1", "b")
    story.ship("n2", "b")
    story.stock("n2", "data-2024")
    story.store.put("p/n1/data/ks/t/x", b"")
    story.store.put("p/n1/data-v/0/ks/t/x", b"")
    story.store.put("q/n9/b/meta/schema.cql", b"")
    assert node_backups(story.store, story.layout) == {"b": {"n1", "n2"}, "data-2024": {"n2"}}
