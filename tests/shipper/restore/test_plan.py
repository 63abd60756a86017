"""May this be restored here? Decisions from values."""

from __future__ import annotations

from dataclasses import replace

import pytest

from backupstore.errors import Refused
from shipper.cassandra.port import Identity, Member
from shipper.restore import plan
from shipper.restore.plan import Backup, Here
from shipper.restore.port import Witness


def member(address: str, host_id: str) -> Member:
    return Member(address, address, host_id, "dc1", "r1", (1,), is_up=None)


OURS, THEIRS = "11111111-1111-1111-1111-111111111111", "22222222-2222-2222-2222-222222222222"
TABLE = "0123456789abcdef0123456789abcdef"
SCHEMA = """CREATE KEYSPACE shop WITH replication = {'class': 'SimpleStrategy'};

CREATE TABLE shop.orders (
    k int PRIMARY KEY
) WITH ID = 01234567-89ab-cdef-0123-456789abcdef
    AND gc_grace_seconds = 864000;
"""
BACKUP = Backup(
    name="b1",
    node="n1",
    host_id=OURS,
    started=1_000_000.0,
    release_version="5.0.6",
    tokens=frozenset({1}),
    ring_size=3,
    schema="",
    described=SCHEMA,
    tables={TABLE: "shop.orders", "f" * 32: "system.local"},
)
STOCKS = replace(BACKUP, host_id=None, described=None, schema=SCHEMA)
LIVE = Identity(OURS, "c", "10.0.0.1", "dc1", "r1", "5.0.6", "cassandra", (1,))
HERE = Here(live=LIVE, is_up=True, remembered_host_id=None, has_data=True, in_place_typed=False)
DOWN = replace(HERE, live=None, is_up=False)
RING = Witness(
    "10.0.0.2", (member("10.0.0.1", OURS), member("10.0.0.2", THEIRS), member("10.0.0.3", "3")), SCHEMA, SCHEMA, {}
)


@pytest.mark.parametrize(
    ("backup", "here"),
    [
        (BACKUP, HERE),
        (BACKUP, replace(DOWN, remembered_host_id=OURS)),
        (BACKUP, replace(DOWN, in_place_typed=True)),
        (BACKUP, replace(DOWN, remembered_host_id=THEIRS, has_data=False, in_place_typed=True)),
        (STOCKS, HERE),
        (STOCKS, replace(DOWN, in_place_typed=True)),
    ],
)
def test_the_same_node(backup: Backup, here: Here) -> None:
    plan.check_same_node(backup, here)


@pytest.mark.parametrize(
    ("backup", "here", "why"),
    [
        (replace(BACKUP, host_id=THEIRS), HERE, "made by the node with host id 2222"),
        (replace(BACKUP, host_id=THEIRS), replace(HERE, in_place_typed=True), "made by the node with host id 2222"),
        (BACKUP, replace(DOWN, remembered_host_id=THEIRS, in_place_typed=True), "this one is 2222"),
        (BACKUP, DOWN, "Nothing here tells"),
        (BACKUP, replace(DOWN, remembered_host_id=OURS, has_data=False), "Nothing here tells"),
        (STOCKS, replace(DOWN, remembered_host_id=OURS), "Nothing here tells"),
        (replace(STOCKS, tokens=frozenset({2})), replace(HERE, in_place_typed=True), "holds other tokens"),
        (replace(STOCKS, tokens=frozenset()), HERE, "does not say which tokens"),
    ],
)
def test_another_node_or_nobody_knows(backup: Backup, here: Here, why: str) -> None:
    with pytest.raises(Refused, match=why) as caught:
        plan.check_same_node(backup, here)
    assert caught.value.hint


def test_twins_are_looked_for_where_this_node_is_not_up() -> None:
    assert plan.twins(BACKUP, HERE, RING) == ()
    assert plan.twins(BACKUP, DOWN, None) == ()
    assert plan.twins(BACKUP, DOWN, RING) == ("10.0.0.1",)
    assert plan.twins(replace(STOCKS, tokens=frozenset({1})), DOWN, RING) == ("10.0.0.1", "10.0.0.2", "10.0.0.3")
    assert plan.twins(replace(STOCKS, tokens=frozenset({9})), DOWN, RING) == ()


@pytest.mark.parametrize(
    ("theirs", "ours", "told"),
    [
        ("5.0.6", "5.0.2", None),
        ("5.0.6", "5.0.6-SNAPSHOT", None),
        ("4.1.9", "5.0.6", "as in an upgrade"),
        ("unknown", "4.0.1", None),
        ("5.0.6", None, "was not compared"),
    ],
)
def test_versions_that_fit(theirs: str, ours: str | None, told: str | None) -> None:
    live = replace(LIVE, release_version=ours) if ours else None
    warning = plan.check_version(replace(BACKUP, release_version=theirs), live)
    assert (warning is None) == (told is None)
    assert (told or "") in (warning or "")


@pytest.mark.parametrize(("theirs", "ours"), [("5.0.1", "4.1.9"), ("4.1.0", "4.0.13"), ("10.0", "9.9"), ("5.0", "?")])
def test_files_that_are_too_new(theirs: str, ours: str) -> None:
    with pytest.raises(Refused, match="cannot read its files"):
        plan.check_version(replace(BACKUP, release_version=theirs), replace(LIVE, release_version=ours))


def test_a_ring_that_stands_still() -> None:
    assert plan.ring_changes(BACKUP, RING) == ()
    assert plan.ring_changes(STOCKS, RING) == ()
    assert plan.check_ring(BACKUP, RING, alone=False) == ()


def test_a_node_alone_is_never_behind_others() -> None:
    alone = replace(RING, members=RING.members[:1], described="", truncated={TABLE: 9e9})
    assert plan.ring_changes(BACKUP, alone) == ()
    assert plan.check_ring(replace(BACKUP, ring_size=1), None, alone=False) == ()


@pytest.mark.parametrize(
    ("after", "truncated"), [(1.0, True), (-20.0, True), (-40.0, False)], ids=["later", "while backed up", "before"]
)
@pytest.mark.parametrize("table", [TABLE, "01234567-89AB-cdef-0123-456789abcdef"])
@pytest.mark.parametrize("backup", [BACKUP, STOCKS])
def test_a_table_that_was_truncated(backup: Backup, table: str, after: float, *, truncated: bool) -> None:
    witness = replace(RING, truncated={table: backup.started + after, "e" * 32: 9e9, "f" * 32: 9e9})
    assert plan.ring_changes(backup, witness) == (("TABLE shop.orders was truncated",) if truncated else ())


def test_a_table_that_was_dropped_created_or_made_anew() -> None:
    keyspace, table = SCHEMA.split("\n\n")
    other = table.replace("orders", "others").replace("01234567-", "99999999-")
    anew = table.replace("01234567-", "99999999-")
    assert plan.ring_changes(BACKUP, replace(RING, described=keyspace)) == ("TABLE shop.orders was dropped",)
    assert plan.ring_changes(BACKUP, replace(RING, described=f"{SCHEMA}\n{other}")) == (
        "TABLE shop.others was created",
    )
    assert plan.ring_changes(BACKUP, replace(RING, described=f"{keyspace}\n\n{anew}")) == (
        "TABLE shop.orders was changed",
    )
    # Stock's text has no ids, so that only the folders in its manifest tell.
    assert plan.ring_changes(STOCKS, replace(RING, described=f"{keyspace}\n\n{anew}")) == (
        "TABLE shop.orders was made anew",
    )


def test_a_node_that_was_replaced_or_moved() -> None:
    gone = replace(RING, members=RING.members[1:])
    assert plan.ring_changes(BACKUP, gone) == (f"NODE {OURS} is no longer a member: it was removed or replaced",)
    assert plan.ring_changes(STOCKS, gone) == ()
    moved = replace(BACKUP, tokens=frozenset({7}))
    assert plan.ring_changes(moved, RING) == (f"NODE {OURS} has other tokens now",)


def test_what_has_changed_is_said_with_both_ways_out_and_not_at_length() -> None:
    many = "\n\n".join(f"CREATE TABLE shop.t{number} (k int PRIMARY KEY);" for number in range(100))
    witness = replace(RING, described=f"{SCHEMA}\n{many}")
    with pytest.raises(Refused, match="and 88 more") as caught:
        plan.check_ring(BACKUP, witness, alone=False)
    assert "whole cluster" in caught.value.hint
    assert "--ignore-ring-changes" in caught.value.hint
    (warning,) = plan.check_ring(BACKUP, witness, alone=True)
    assert "and 88 more" in warning
    assert len(warning.splitlines()) == 14


def test_nobody_answers() -> None:
    (warning,) = plan.check_ring(BACKUP, None, alone=False)
    assert "None of the ring's 3 nodes answered" in warning


@pytest.mark.parametrize(("days", "late"), [(9.9, False), (10.1, True)])
def test_gc_grace(days: float, *, late: bool) -> None:
    warning = plan.gc_grace_warning(BACKUP, BACKUP.started + days * 86400)
    assert (warning is not None) == late
    assert "shop.orders" in (warning or "shop.orders")


def test_a_gc_grace_of_nothing_is_nobodys_promise() -> None:
    backup = replace(BACKUP, described=SCHEMA.replace("864000", "0"))
    assert plan.gc_grace_warning(backup, 9e9) is None


def test_a_schema_that_cannot_be_read_is_told() -> None:
    warning = plan.gc_grace_warning(replace(BACKUP, described=SCHEMA + "\n'"), BACKUP.started)
    assert "Nobody can tell" in (warning or "")
    assert "repair" in (warning or "")


def test_a_table_with_a_quoted_name_is_told_once() -> None:
    """Stock's text has no ids, and its name in quotes; the folders have none."""
    backup = replace(
        STOCKS, schema=STOCKS.schema.replace("shop.orders", 'shop."Orders"'), tables={TABLE: "shop.Orders"}
    )
    live = SCHEMA.partition("\n\n")[0]
    assert plan.ring_changes(backup, replace(RING, described=live, export=live)) == ("TABLE shop.Orders was dropped",)


def test_newer_tables_are_listed() -> None:
    assert plan.newer_tables_warning(()) is None
    assert "    shop.newer" in (plan.newer_tables_warning(("shop.newer",)) or "")
