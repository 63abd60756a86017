"""The algebra of the catalog: merging twice is merging once, and the order does not matter."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backupstore.core.catalog import (
    content,
    empty_backup,
    empty_head,
    last_verification,
    line_of,
    roster_of,
    unread,
    with_facts,
    with_lines,
)
from backupstore.core.documents import ClusterBackup, Head, Latest, NodeFact, Place, Verification, decode, encode
from backupstore.core.tokenmap import ring_id
from tests.core.strategies import documents

GOLDEN = Path(__file__).parent / "golden"
RING = {"a1": Place(dc="dc1", rack="r1", tokens=16), "a2": Place(dc="dc1", rack="r2", tokens=16)}


def fact(started: float = 1.0, **fields: object) -> NodeFact:
    known = {"started": started, "writer": "shipper", "mode": "full", "seen": "s", "ring": ring_id(RING)}
    return NodeFact.model_validate({**known, "finished": started + 10, "size": 5, "objects": 2, **fields})


def backup(name: str, **nodes: NodeFact) -> ClusterBackup:
    return with_facts(empty_backup(name), nodes, {ring_id(RING): RING})


def head_of(*found: ClusterBackup) -> Head:
    return with_lines(empty_head(), {document.name: document for document in found})


# ---------------------------------------------------------------- documents


@given(documents(), documents())
def test_facts_merge_in_any_order_and_twice_is_once(one: ClusterBackup, other: ClusterBackup) -> None:
    apart = {node: fact for node, fact in other.nodes.items() if node not in one.nodes}
    both = with_facts(with_facts(empty_backup("n1"), one.nodes, one.rings), apart, other.rings)
    turned = with_facts(with_facts(empty_backup("n1"), apart, other.rings), one.nodes, one.rings)
    again = with_facts(both, one.nodes, one.rings)
    assert encode(both) == encode(turned) == encode(again)


@given(documents())
def test_what_is_taken_out_leaves_nothing_behind(document: ClusterBackup) -> None:
    assert with_facts(document, dict.fromkeys(document.nodes), {}) == empty_backup("n1").model_copy(
        update={"revision": document.revision}
    )


def test_unknown_fields_survive_a_merge() -> None:
    stored = decode(ClusterBackup, b'{"format":1,"revision":"r","name":"n","later":{"x":1}}', "k")
    assert b'"later":{"x":1}' in encode(with_facts(stored, {"a1": fact()}, {ring_id(RING): RING}))


def test_content_is_all_but_revision_and_check() -> None:
    one = backup("n", a1=fact())
    assert content(one) == content(one.model_copy(update={"revision": "other"}))
    assert content(one) != content(backup("n", a1=fact(size=6)))
    head = head_of(one)
    assert content(head) == content(head.model_copy(update={"revision": "other", "checked": 5.0}))


# ---------------------------------------------------------------- lines


def test_no_line_without_a_node_backup() -> None:
    assert line_of(empty_backup("n")) is None
    assert line_of(backup("n", a1=fact(abandoned=True))) is None


def test_a_complete_line() -> None:
    line = line_of(backup("n", a1=fact(3.0), a2=fact(2.0, mode="differential"), a9=fact(0.5, size=99)))
    assert line is not None
    assert (line.started, line.finished, line.state, line.mode) == (
        2.0,
        13.0,
        "complete",
        "differential",
    )
    assert (line.size, line.objects, line.expected, line.completed) == (10, 4, 2, 2)


@pytest.mark.parametrize(
    ("second", "state"),
    [
        ({}, "complete"),
        ({"partial": True}, "partial"),
        ({"corrupt": 1}, "corrupt"),
        ({"corrupt": 1, "partial": True}, "corrupt"),
        ({"corrupt": 1, "finished": None}, "incomplete"),
        ({"partial": True, "finished": None}, "incomplete"),
        ({"problem": "unreadable"}, "incomplete"),
        ({"abandoned": True}, "incomplete"),
    ],
)
def test_states(second: dict[str, object], state: str) -> None:
    line = line_of(backup("n", a1=fact(), a2=fact(**second)))  # type: ignore[arg-type] # any field
    assert line is not None
    assert line.state == state
    assert (line.finished is None) == (state == "incomplete")


def test_nodes_given_up_are_in_no_roster() -> None:
    assert roster_of(backup("n", a1=fact(), a2=fact(abandoned=True))) == ("a1",)


# ---------------------------------------------------------------- the head


@given(st.lists(documents(), min_size=1, max_size=4), st.randoms())
def test_a_head_updated_line_by_line_is_the_head_made_at_once(found: list[ClusterBackup], random: object) -> None:
    """Each step reads what ``unread`` asks for, and the documents change in any order, more than once."""
    stored: dict[str, ClusterBackup | None] = {}
    head = empty_head()
    steps = [(f"n{position % 2}", document) for position, document in enumerate(found)]
    random.shuffle(steps)  # type: ignore[attr-defined] # a Random
    for name, document in steps:
        stored[name] = document.model_copy(update={"name": name})
        changed = {name: stored[name]}
        for _ in range(2):
            head = with_lines(head, changed | {other: stored[other] for other in unread(head, changed)})
    assert content(head) == content(with_lines(empty_head(), stored))


def test_rosters_are_shared_and_sorted() -> None:
    head = head_of(backup("n2", a1=fact(5.0)), backup("n1", a1=fact(), a2=fact()), backup("n3", a1=fact(9.0)))
    assert head.rosters == (("a1",), ("a1", "a2"))
    assert [(line.name, line.roster) for line in head.backups] == [("n1", 1), ("n2", 0), ("n3", 0)]


def test_lines_stand_by_start_then_name() -> None:
    head = head_of(backup("b", a1=fact(1.0)), backup("a", a1=fact(1.0)), backup("0", a1=fact(2.0)))
    assert [line.name for line in head.backups] == ["a", "b", "0"]


def test_the_latest_backup_is_the_one_that_finished_last_and_can_be_used() -> None:
    late = {"finished": 99.0}
    head = head_of(
        backup("n1", a1=fact(1.0), a2=fact(1.0)),
        backup("n2", a1=fact(2.0), a2=fact(2.0, abandoned=True, **late)),
        backup("n3", a1=fact(3.0, problem="unreadable", **late), a2=fact(3.0, finished=None)),
    )
    assert head.latest == {"a1": Latest(name="n2", finished=12.0), "a2": Latest(name="n1", finished=11.0)}


def test_when_the_latest_backup_goes_the_others_of_its_nodes_are_read() -> None:
    others = {"n1": backup("n1", a1=fact(1.0)), "n2": backup("n2", a1=fact(2.0)), "x": backup("x", a2=fact(4.0))}
    head = head_of(backup("n3", a1=fact(3.0)), *others.values())
    for gone in (None, empty_backup("n3"), backup("n3", a1=fact(3.0, finished=None)), backup("n3", a1=fact(2.5))):
        assert unread(head, {"n3": gone}) == {"n1", "n2"}
    assert unread(head, {"n2": None}) == frozenset()
    fresh = with_lines(head, {"n3": None, "n1": others["n1"], "n2": others["n2"]})
    assert fresh.latest["a1"] == Latest(name="n2", finished=12.0)
    assert with_lines(head_of(backup("n", a1=fact())), {"n": None}).latest == {}


def test_a_damaged_head_does_not_stop_its_repair() -> None:
    head = head_of(backup("n", a1=fact())).model_copy(update={"rosters": ()})
    assert unread(head, {"n": None}) == frozenset()
    assert with_lines(head, {}).rosters == ((),)


# ---------------------------------------------------------------- golden


@pytest.mark.parametrize("name", ["backup-1.json", "head-1.json"])
def test_documents_of_format_1_stay_as_they_are(name: str) -> None:
    document = backup(
        "202611230215", a1=fact(1795370000.5, host_id="h1", attempts=1), a2=fact(1795370001.0, finished=None)
    )
    document = document.model_copy(update={"verified": (Verification(at=1795380000.0, level="listing", ok=True),)})
    made = document if name.startswith("backup") else head_of(document)
    body = encode(made.model_copy(update={"revision": "r1"}))
    assert body + b"\n" == (GOLDEN / name).read_bytes()
    assert encode(decode(type(made), body, name)) == body


def test_documents_from_before_there_was_verify_can_be_read() -> None:
    document = backup("n", a1=fact())
    for made in (document, head_of(document)):
        older = re.sub(rb',"verified":(null|\[\])', b"", encode(made))
        assert b"verified" not in older
        assert decode(type(made), older, "older") == made


# ---------------------------------------------------------------- verification


GOOD = Verification(at=3.0, level="listing", ok=True)
BAD = Verification(at=1.0, level="content", ok=False)


def test_a_line_tells_of_the_last_verification() -> None:
    older = Verification(at=2.0, level="structure", ok=True)
    assert last_verification([]) is None
    assert last_verification([older, GOOD]) == GOOD
    document = backup("n", a1=fact()).model_copy(update={"verified": (older, GOOD)})
    line = line_of(document)
    assert line is not None
    assert line.verified == GOOD


def test_what_a_level_found_bad_is_not_hidden_by_a_lower_one_that_comes_later() -> None:
    assert last_verification([GOOD, BAD]) == last_verification([BAD, GOOD]) == BAD
