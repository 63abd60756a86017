"""Reconcile and rebuild, told as stories."""

from __future__ import annotations

import pytest

from backupstore.core.catalog import content
from backupstore.core.keys import RowKey
from backupstore.core.layout import Layout
from backupstore.errors import Corrupt
from backupstore.operations.reconcile import TOMBSTONE_AGE, prefixes
from tests.operations.lives import tokenmap
from tests.operations.stories import Story


@pytest.fixture
def story() -> Story:
    return Story()


def test_it_finds_what_no_event_told(story: Story) -> None:
    story.ship("n1", "b")
    story.ship("n2", "b")
    report = story.reconcile()
    assert (report.backups, report.nodes) == (1, 2)
    assert story.head().backups[0].state == "complete"
    assert story.rows("b")
    assert story.marker("n1") == b"b"
    story.remove("p/n1/")
    assert story.layout.catalog_backup("b") in story.reconcile().written
    assert story.head().backups[0].missing == ("n1",)
    assert story.marker("n1") is None


def test_it_confirms_what_is_right_and_writes_nothing_else(story: Story) -> None:
    story.ship("n1", "b")
    story.reconcile(now=200.0)
    before = {held.key: held for held in story.store.list("") if held.key != story.layout.head()}
    report = story.reconcile(now=300.0)
    assert (report.written, report.removed, report.unreadable) == ((), (), ())
    assert {held.key: held for held in story.store.list("") if held.key != story.layout.head()} == before
    assert story.head().checked == 300.0


def test_an_empty_bucket_gets_a_head(story: Story) -> None:
    story.reconcile(now=300.0)
    assert story.head().checked == 300.0


def test_dangling_rows_of_backups_that_nobody_knows_go(story: Story) -> None:
    story.stock("n1", "b")
    story.remove("p/n1/")
    assert len(story.reconcile().removed) == 5
    assert story.rows("b") == []


def test_missing_rows_of_ours_come_back_and_those_of_stock_do_not(story: Story) -> None:
    story.ship("n1", "b")
    story.stock("n2", "b")
    story.reconcile()
    story.remove(story.layout.rows("b"))
    story.reconcile()
    assert {row for row in story.rows("b") if "n2" in row} == set()
    assert len(story.rows("b")) == 5
    story.reconcile(everything=True)
    assert len(story.rows("b")) == 10


def test_an_empty_document_goes_after_a_day(story: Story) -> None:
    story.ship("n1", "b")
    story.reconcile()
    story.remove("p/n1/")
    story.reconcile()
    key = story.layout.catalog_backup("b")
    modified = story.store.head(key).modified
    assert key not in story.reconcile(now=modified + TOMBSTONE_AGE).removed
    assert key in story.reconcile(now=modified + TOMBSTONE_AGE + 1).removed


def test_an_unreadable_document_is_reported_and_its_line_stays(story: Story) -> None:
    story.ship("n1", "a")
    story.ship("n1", "b")
    story.reconcile()
    story.store.put(story.layout.catalog_backup("a"), b"rubbish")
    report = story.reconcile(now=300.0)
    assert len(report.unreadable) == 1
    assert report.unreadable[0].startswith(story.layout.catalog_backup("a"))
    assert [line.name for line in story.head().backups] == ["a", "b"]
    assert story.head().checked == 300.0


def test_an_unreadable_head_needs_a_rebuild(story: Story) -> None:
    story.ship("n1", "b")
    story.store.put(story.layout.head(), b"rubbish")
    with pytest.raises(Corrupt, match=r"head\.json"):
        story.reconcile()
    story.reconcile(everything=True)
    assert [line.name for line in story.head().backups] == ["b"]


def test_a_rebuild_believes_nothing(story: Story) -> None:
    story.ship("n1", "b")
    story.ship("n2", "b")
    story.reconcile()
    right = content(story.document("b")), content(story.head())
    lie = story.document("b").nodes["n1"].model_copy(update={"size": 10**9})
    nodes = {"n1": lie, "n9": lie}
    for body in (
        story.document("b").model_copy(update={"nodes": nodes}).model_dump_json().encode(),
        b"rubbish",
        b'{"format": 7}',
        b" " * (65 << 20),
    ):
        story.store.put(story.layout.catalog_backup("b"), body)
        story.store.put(story.layout.catalog_backup("none"), b'{"format":1,"revision":"x","name":"none"}')
        story.store.put(story.layout.catalog_backups() + "console-made", b"")
        story.store.put(story.layout.row(RowKey("b", "tokenmap", "n1")), b"rubbish")
        report = story.reconcile(everything=True)
        assert story.layout.catalog_backup("none") in report.removed
        assert story.layout.catalog_backups() + "console-made" in report.removed
        assert (content(story.document("b")), content(story.head())) == right
        assert story.store.read(story.layout.row(RowKey("b", "tokenmap", "n1"))).body == tokenmap(
            {"n1": "dc1", "n2": "dc1"}
        )


def test_prefixes_are_found_from_announcements_and_folders() -> None:
    story = Story(layout=Layout("p"))
    assert prefixes(story.store) == ()
    story.ship("n1", "b")
    assert prefixes(story.store) == ("p",)
    Story(layout=Layout(), bucket=story.bucket).ship("bare", "b")
    story.store.put("stray/x", b"")
    story.store.put("bare2/data/ks/t/x", b"")
    story.store.put("index/announced/q/n1/b/started", b"")
    assert prefixes(story.store) == ("", "p", "q")


def test_a_folder_that_a_node_calls_meta_hides_no_cluster() -> None:
    """As stock lets a backup be called; and it proves no cluster without a prefix either."""
    story = Story(layout=Layout("p"))
    story.store.put(Layout("p").meta("a1", "meta", "manifest.json"), b"[]")
    story.store.put(Layout("p").row(RowKey("meta", "manifest", "a1")), b"[]")
    assert prefixes(story.store) == ("p",)
    story.store.put(Layout().meta("bare", "index", "manifest.json"), b"[]")
    assert prefixes(story.store) == ("", "p"), "stock lets one be called index, too"


def test_a_cluster_without_a_prefix_beside_one_with_it() -> None:
    bare = Story(layout=Layout())
    other = Story(layout=Layout("p"), bucket=bare.bucket)
    for story in (bare, other):
        story.ship("n1", "b")
        story.ship("n2", "b")
    report = bare.reconcile()
    assert (report.backups, report.nodes) == (1, 2)
    assert list(bare.document("b").nodes) == ["n1", "n2"]
    other.reconcile()
    assert bare.reconcile().written == ()
