"""A month: thirty nightly backups of three nodes and a purge after each, then two weeks without backups, then everything is lost.

What happens on the way: Cassandra compacts, by itself and when told to; on some nights stock Medusa backs one of the nodes
up; a backup is killed half way and finished by the same command, another one is killed and never finished; a node dies,
and an empty machine with another host id takes its name; a backup is held for ten days.

After every purge the list must show exactly what the settings keep, in the right state; all of it must be whole, byte for
byte; what went must have left nothing behind that nobody needs. In the end all nodes are wiped, and restored by the last
backup: every row must be what it was that night.

Time passes by setting times back (``aging``). Every program runs as a process of its own, as cron would start it.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product

import pytest

from tests.harness import Node
from tests.harness.reading import Row
from tests.harness.replacing import replace, wipe
from tests.life import rows
from tests.life.fleet import Fleet, at_once, fleet, good

pytestmark = [pytest.mark.cassandra, pytest.mark.stock, pytest.mark.timeout(1200)]

DAYS, QUIET = 30, (1, 4, 6, 4)
FULL = {1, 17}
STOCK = {3: 1, 6: 1, 7: 1, 13: 1}
"""By day, the node (counted from 0) that stock Medusa backs up."""
COMPACTED = {5: 0, 12: 1, 20: 2, 26: 0}
KILLED, GIVEN_UP = (9, 0), (11, 2)
LOST, LOST_NODE = 15, 2
HELD, HELD_DAYS = 4, 10
UPLOADS = 20
STREAMED = "TOC.txt is missing"
"""Cassandra writes none for an SSTable that it gets whole from another node, as when one joins or leaves."""

KEPT_DAYS, MAX_AGE, GRACE = 4, 3, 14
STORAGE = {"max_backup_age": str(MAX_AGE)}
SHIPPER = {"keep_daily": str(KEPT_DAYS)}


def name(day: int) -> str:
    return f"day-{day:02}"


@dataclass
class Life:
    """``named``: what the manifest of a node's backup named, by node and backup; ``held``: the rows of that night."""

    fleet: Fleet
    named: dict[tuple[Node, str], frozenset[str]] = field(default_factory=dict)
    held: dict[str, dict[str, list[Row]]] = field(default_factory=dict)
    down: Node | None = None

    @property
    def nodes(self) -> tuple[Node, ...]:
        return self.fleet.cluster.nodes

    def night(self, day: int) -> None:
        """A day's work, backups of all nodes at the same time, and a purge."""
        self.fleet.aging.pass_days(1)
        self.work(day)
        at_once(lambda node: self.back_up(day, node), [node for node in self.nodes if node is not self.down])
        self.named |= {(node, name(day)): self.fleet.named(node, name(day)) for node in self.nodes}
        self.fleet.operator("build-index")
        if day == HELD:
            self.fleet.operator("hold", "--backup-name", name(day), "--why", "audit", "--for", f"{HELD_DAYS}d")
        self.purge()
        self.check(day)

    def work(self, day: int) -> None:
        if day == LOST + 1:
            self.replace()
        with self.fleet.cluster.session() as session:
            rows.work(session, day)
            self.held[name(day)] = rows.read(session)
        if day in COMPACTED:
            self.nodes[COMPACTED[day]].nodetool("compact", "life")
        if day == LOST:
            self.down = self.nodes[LOST_NODE]
            wipe(self.down)

    def replace(self) -> None:
        """A new machine: nothing of the old one is left, and so it remembers no backup."""
        node = self.nodes[LOST_NODE]
        self.down = None
        shutil.rmtree(self.fleet.state(node))
        replace(self.fleet.cluster, node)

    def back_up(self, day: int, node: Node) -> None:
        if STOCK.get(day) == node.number - 1:
            self.fleet.stock(node).backup(name(day)).check()
            return
        here = (day, node.number - 1)
        if here in {KILLED, GIVEN_UP}:
            self.fleet.killed_backup(node, name(day), UPLOADS)
        if here == GIVEN_UP:
            return
        mode = "full" if day in FULL else "differential"
        done = good(self.fleet.ours(node, "backup", "--backup-name", name(day), "--mode", mode))
        if here == KILLED:
            assert f"going on with {name(day)}, attempt 2" in done.err
        if here == (GIVEN_UP[0] + 1, GIVEN_UP[1]):
            assert f"{name(GIVEN_UP[0])} was never finished and is given up" in done.err

    def purge(self) -> None:
        done = self.fleet.operator("purge")
        assert "ERROR" not in done.err, done.err

    # --- what must hold after each purge ---

    def check(self, day: int) -> None:
        expected = kept(day)
        assert self.fleet.listed() == expected, f"day {day}"
        verified = at_once(self.verify, expected)
        wrong = {backup: found for backup, found in zip(expected, verified, strict=True) if found != good_of(backup)}
        assert not wrong, f"day {day}: {wrong}"
        there = self.fleet.objects()
        for node in self.nodes:
            assert not self.of_gone(node, expected, there), f"day {day}: objects of purged backups of {node.name}"
            if not stock_was_at_work(node, day):
                left = self.only_named_by_gone(node, expected) & there
                assert not left, f"day {day}: {node.name} still holds {sorted(left)[:5]}"

    def verify(self, backup: str) -> tuple[int, dict[str, int]]:
        done = self.fleet.hatchery.run(
            self.fleet.folder / "operator" / "medusa.ini",
            *("verify", "--backup-name", backup, "--level", "content", "--output", "json"),
        )
        found = done.json
        assert found["by_size"] == 0, "everything has been compared by content"
        assert found["read"] == found["size"] > 0
        warnings = {each["why"] for each in found["findings"] if each["kind"] == "warning"}
        assert warnings <= {STREAMED}
        return done.code, {kind: number for kind, number in found["counts"].items() if kind != "warning"}

    def of_gone(self, node: Node, expected: dict[str, str], there: frozenset[str]) -> frozenset[str]:
        """Every object below the name of a backup of this node that is not listed any more."""
        gone = {f"{node.ip}/{backup}/" for each, backup in self.named if each == node and backup not in expected}
        return frozenset(key for key in there if any(key.startswith(folder) for folder in gone))

    def only_named_by_gone(self, node: Node, expected: dict[str, str]) -> frozenset[str]:
        needed, gone = frozenset[str](), frozenset[str]()
        for (each, backup), named in self.named.items():
            if each == node and backup in expected:
                needed |= named
            elif each == node:
                gone |= named
        return gone - needed


def kept(day: int) -> dict[str, str]:
    """What the list must show after the purge of that day, by the settings, counted by hand."""
    nights = range(1, min(day, DAYS) + 1)
    unfinished = {GIVEN_UP[0], LOST}
    complete = [night for night in nights if night not in unfinished]
    newest = set(complete[-KEPT_DAYS:])
    young = {night for night in complete if day - night < MAX_AGE}
    held = {HELD} & set(nights) if day - HELD < HELD_DAYS else set()
    waiting = {night for night in unfinished & set(nights) if day - night < GRACE}
    return {
        name(night): "incomplete" if night in unfinished else "complete"
        for night in sorted(newest | young | held | waiting)
    }


def good_of(backup: str) -> tuple[int, dict[str, int]]:
    """What ``verify`` shall say: nothing, but of those that were never finished that a node is missing."""
    unfinished = {name(GIVEN_UP[0]), name(LOST)}
    return (1, {"incomplete": 1}) if backup in unfinished else (0, {})


def stock_was_at_work(node: Node, day: int) -> bool:
    """As long as it may have been, and until what stayed for that reason is old enough to be an orphan, more lies there.

    Stock reads no condemned documents: beside a backup of its own that is there, shared data is left alone.
    """
    return any(day - when <= GRACE for when, number in STOCK.items() if number == node.number - 1 and when <= day)


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    with fleet(tmp_path_factory.mktemp("life"), STORAGE, SHIPPER) as made:
        with made.cluster.session() as session:
            rows.create(session)
        yield Life(made)


def test_a_month_of_nightly_backups_with_a_purge_after_each(life: Life) -> None:
    for day in range(1, DAYS + 1):
        life.night(day)


def test_two_weeks_later_nothing_is_left_that_nobody_needs(life: Life) -> None:
    """And what is needed is still there, as long as nothing newer comes."""
    for days in QUIET:
        life.fleet.aging.pass_days(days)
        life.fleet.operator("build-index")
        life.purge()
    expected = kept(DAYS + sum(QUIET))
    life.check(DAYS + sum(QUIET))
    there = life.fleet.objects()
    data = {key for key in there if "/data/" in key or "/data-v/" in key}
    assert data == frozenset[str]().union(*(life.named[node, each] for node, each in product(life.nodes, expected)))
    by_folder = {key.split("/")[1] for key in there - data if not key.startswith("index/")}
    assert by_folder == set(expected)
    assert not {key for key in there if key.startswith("index/condemned/")}
    for folder in ("index/backup_index/", "index/catalog/backups/"):
        found = {key[len(folder) :].split("/")[0].removesuffix(".json") for key in there if key.startswith(folder)}
        assert found == set(expected), folder


def test_after_all_nodes_are_lost_the_last_backup_brings_every_row_back(life: Life) -> None:
    last = name(DAYS)
    for node in life.nodes:
        wipe(node)
        shutil.rmtree(life.fleet.state(node))
    at_once(lambda node: good(life.fleet.ours(node, "restore-node", "--in-place", "--backup-name", last)), life.nodes)
    life.fleet.cluster.wait_up()
    with life.fleet.cluster.session() as session:
        found = rows.read(session)
    assert found == life.held[last]
    assert found != life.held[name(DAYS - 1)], "no two nights are alike"
