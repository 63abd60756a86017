"""A reconcile that looks only into what is in doubt: what it costs, what it finds, and what it leaves to one that looks at all."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from backupstore.core import layout as grammar
from backupstore.core.documents import Damaged, Findings, encode
from backupstore.core.keys import RowKey
from backupstore.operations.reconcile import TRUST, ReconcileReport, reconcile
from backupstore.ports import Folder, ObjectStore, StoredObject
from tests.interleaving import Around
from tests.operations.histories import LAYOUT, derived, rebuilt
from tests.operations.lives import manifest, tokenmap
from tests.operations.stories import Story

RING = 60
BACKUPS = 30


class Calls(Around):
    """Counts."""

    def __init__(self, store: ObjectStore) -> None:
        super().__init__(store)
        self.number: Counter[str] = Counter()

    def before(self, call: str) -> None:
        self.number[call] += 1


def shallow(story: Story, store: ObjectStore | None = None, now: float = 300.0) -> ReconcileReport:
    return reconcile(store or story.indexer, story.layout, now=now, revision=story.revision, trust=TRUST)


@pytest.fixture(scope="module")
def large() -> Story:
    """Sixty nodes with thirty backups each."""
    story = Story(layout=LAYOUT)
    nodes = [f"n{number:02}" for number in range(RING)]
    ring = tokenmap(dict.fromkeys(nodes, "dc1"))
    for number in range(BACKUPS):
        for node in nodes:
            name = f"b{number:02}"
            story.ship(node, name, tokenmap=ring, manifest=manifest(story.layout.full_data(node, name)))
    story.reconcile()
    return story


def test_what_is_right_costs_one_listing_for_each_node_and_a_read_for_each_backup(large: Story) -> None:
    calls = Calls(large.indexer)
    report = shallow(large, calls)
    assert (report.backups, report.nodes, report.deep) == (BACKUPS, RING, False)
    assert (report.written, report.removed, report.repaired) == ((), (), ())
    assert calls.number["entries"] == 1 + RING
    # The catalog's documents, stock's rows, the findings, the markers, and the documents again for either pass of the head.
    assert calls.number["list"] == 4 + 2
    # Each document by itself and in either pass of the head; the head, to see how old it is, in the passes, for the markers.
    assert calls.number["read"] == 3 * BACKUPS + 4
    assert calls.number["replace"] == 1
    assert sum(calls.number.values()) < 200
    deep = Calls(large.indexer)
    assert reconcile(deep, large.layout, now=300.0, revision=large.revision).written == ()
    assert deep.number["list"] > RING * BACKUPS


def test_one_node_backup_that_no_event_told_of_costs_little_more(large: Story) -> None:
    large.ship("n00", "b99", tokenmap=tokenmap({"n00": "dc1"}))
    calls = Calls(large.indexer)
    report = shallow(large, calls)
    assert report.repaired == ("b99",)
    assert sum(calls.number.values()) < 260
    large.remove(large.layout.backup("n00", "b99"))
    assert shallow(large).repaired == ("b99",)
    assert derived(large.bucket) == derived(rebuilt(large.bucket))


def test_nodes_are_listed_and_backups_are_read_at_the_same_time(large: Story) -> None:
    listing, reading = threading.Barrier(8, timeout=60), threading.Barrier(8, timeout=60)

    class Meeting(Around):
        def entries(self, folder: str) -> Folder:
            if folder in {large.layout.node(f"n{number:02}") for number in range(8)}:
                listing.wait()
            return super().entries(folder)

        def list(self, folder: str) -> Iterator[StoredObject]:
            if folder in {large.layout.meta_folder("n00", f"b{number:02}") for number in range(8)}:
                reading.wait()
            return super().list(folder)

    with ThreadPoolExecutor(8) as pool:
        store = Meeting(large.indexer)
        report = reconcile(store, large.layout, now=300.0, revision=large.revision, each=pool.map)
    assert (report.backups, report.written) == (BACKUPS, ())


# ---------------------------------------------------------------- what is found


def ship_another(story: Story) -> None:
    story.ship("n1", "c")


def finish(story: Story) -> None:
    story.store.put(story.meta("n2", "u", grammar.MANIFEST), manifest(story.layout.full_data("n2", "u")))


def give_up(story: Story) -> None:
    story.store.put(story.meta("n2", "u", grammar.ABANDONED), b"{}")


def mend(story: Story) -> None:
    story.store.put(story.meta("n1", "p", grammar.MANIFEST), manifest(story.layout.full_data("n1", "p")))


def delete(story: Story) -> None:
    story.remove(story.layout.backup("n1", "b"))


def delete_of_stock(story: Story) -> None:
    story.remove(story.layout.backup("n1", "s"))


def begin_to_purge(story: Story) -> None:
    """As a purge that died: the rows are gone, and the manifest."""
    rows = [key for key in story.rows("b") if "n1" in key]
    story.store.delete([f"{story.layout.rows('b')}{row}" for row in rows])
    story.store.delete([story.meta("n1", "b", grammar.MANIFEST)])


def lose_a_row(story: Story) -> None:
    story.store.delete([story.layout.row(RowKey("b", "tokenmap", "n1"))])


def leave_a_row(story: Story) -> None:
    story.store.put(story.layout.row(RowKey("b", "started", "n1", 999)), b"999")


def leave_rows_of_nobody(story: Story) -> None:
    story.store.put(story.layout.row(RowKey("x", "tokenmap", "n9")), b"{}")
    story.store.put(story.layout.row(RowKey("b", "tokenmap", "n9")), b"{}")


def verify(story: Story, at: float = 9.0) -> None:
    found = Findings(revision="r", backup="b", level="listing", at=at, ok=True, nodes=1, objects=1, size=1)
    story.store.put(story.layout.finding("b", "listing"), encode(found))


def forget_findings(story: Story) -> None:
    story.store.delete([story.layout.finding("s", "content")])


def spoil_the_head(story: Story) -> None:
    head = story.head()
    story.store.put(story.layout.head(), encode(head.model_copy(update={"backups": head.backups[1:]})))


def lose_a_document(story: Story) -> None:
    story.store.delete([story.layout.catalog_backup("b")])


def lose_a_marker(story: Story) -> None:
    story.store.delete([story.layout.latest("n1", grammar.BACKUP_NAME)])


def leave_a_marker(story: Story) -> None:
    story.store.put(story.layout.latest("gone", grammar.BACKUP_NAME), b"b")


@pytest.fixture
def story() -> Story:
    """A backup of ours, one of stock's, one under way and one that cannot be read; all of it in the catalog."""
    made = Story(layout=LAYOUT)
    for node in ("n1", "n2"):
        made.ship(node, "b")
    made.stock("n1", "s")
    found = Findings(revision="r", backup="s", level="content", at=5.0, ok=False, nodes=1, objects=1, size=1)
    made.store.put(made.layout.finding("s", "content"), encode(found))
    made.ship("n1", "p", manifest=b"[{]")
    made.ship("n1", "u")
    made.ship("n2", "u", manifest=None)
    made.reconcile()
    return made


def test_what_is_right_is_left_as_it_is(story: Story) -> None:
    before = {held.key: held for held in story.store.list("") if held.key != story.layout.head()}
    report = shallow(story)
    assert (report.written, report.removed, report.repaired, report.deep) == ((), (), (), False)
    assert {held.key: held for held in story.store.list("") if held.key != story.layout.head()} == before
    assert (story.head().checked, story.head().looked, story.head().repaired) == (300.0, 200.0, 0)


@pytest.mark.parametrize(
    ("lost", "names"),
    [
        (ship_another, ("c",)),
        (finish, ("u",)),
        (give_up, ("u",)),
        (mend, ("p",)),
        (delete, ("b",)),
        (delete_of_stock, ("s",)),
        (begin_to_purge, ("b",)),
        (lose_a_row, ("b",)),
        (leave_a_row, ("b",)),
        (leave_rows_of_nobody, ("b", "x")),
        (verify, ("b",)),
        (forget_findings, ("s",)),
        (lose_a_document, ("b",)),
        (spoil_the_head, ()),
        (lose_a_marker, ()),
        (leave_a_marker, ()),
    ],
)
def test_what_no_event_told_is_found_named_and_repaired(
    story: Story, lost: Callable[[Story], None], names: tuple[str, ...]
) -> None:
    lost(story)
    report = shallow(story)
    assert not report.deep
    assert report.repaired == names
    assert bool(report.written or report.removed) or lost is spoil_the_head
    assert derived(story.bucket) == derived(rebuilt(story.bucket))
    again = shallow(story, now=301.0)
    assert (again.written, again.removed) == ((), ())


def test_newer_findings_on_a_level_that_is_known_are_found(story: Story) -> None:
    verify(story)
    shallow(story)
    verify(story, at=11.0)
    assert shallow(story, now=301.0).repaired == ("b",)
    assert [each.at for each in story.document("b").verified] == [11.0]


def damage(story: Story) -> None:
    damaged = Damaged(node="n1", backup="b", by="c", at=1.0, count=7)
    story.store.put(story.meta("n1", "b", grammar.DAMAGED), encode(damaged))


def delete_the_manifest(story: Story) -> None:
    story.store.delete([story.meta("n1", "b", grammar.MANIFEST)])


def give_up_what_is_finished(story: Story) -> None:
    story.store.put(story.meta("n1", "b", grammar.ABANDONED), b"{}")


@pytest.mark.parametrize("inside", [damage, delete_the_manifest, give_up_what_is_finished])
def test_what_happens_inside_of_what_is_finished_is_found_when_all_is_looked_at_again(
    story: Story, inside: Callable[[Story], None]
) -> None:
    inside(story)
    assert shallow(story, now=200.0 + TRUST - 1).repaired == ()
    report = shallow(story, now=200.0 + TRUST)
    assert report.deep
    assert report.repaired == ("b",)
    assert story.head().looked == 200.0 + TRUST
    assert derived(story.bucket) == derived(rebuilt(story.bucket))
    assert not shallow(story, now=201.0 + TRUST).deep


def test_without_a_head_all_is_looked_at() -> None:
    story = Story(layout=LAYOUT)
    story.ship("n1", "b")
    assert reconcile(story.indexer, story.layout, now=TRUST + 1, revision=story.revision, trust=TRUST).deep
    assert story.head().looked == TRUST + 1


def test_the_head_says_how_much_was_repaired(story: Story) -> None:
    delete(story)
    report = shallow(story)
    markers = [key for key in (*report.written, *report.removed) if key.startswith(story.layout.all_latest())]
    assert story.head().repaired == len(report.written) + len(report.removed) - len(markers)
    assert shallow(story, now=301.0).repaired == ()
    assert story.head().repaired == 0


def test_an_unreadable_document_is_told(story: Story) -> None:
    story.store.put(story.layout.catalog_backup("b"), b"rubbish")
    report = shallow(story)
    assert len(report.unreadable) == 1
    assert report.unreadable[0].startswith(story.layout.catalog_backup("b"))
