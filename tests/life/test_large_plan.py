"""``purge --dry-run`` on a bucket of sixty nodes and thirty nights: what the operator reads before anything is deleted.

The nights are made in memory, each at its time, and then laid out as the files of a local bucket: thousands of them, which
nobody has to wait for to be safe on disk. Stock's index, which a plan does not look at, is left out.
"""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from backupstore.core.layout import Layout
from backupstore.operations.reconcile import reconcile
from backupstore.stores.memory import MemoryBucket
from tests.shipper.cli.handmade import Made, Maker
from tests.shipper.cli.program import Done, Program, tree

DAY, HOUR = 86_400.0, 3600.0
NODES = tuple(f"cassandra-{number:02}.example.com" for number in range(60))
RING = dict.fromkeys(NODES, "dc1")
NIGHTS = range(30)
"""By age in days, and an hour."""
UNFINISHED, PARTIAL, ALONE, CORRUPT, GIVEN_UP, HELD = 2, 3, 4, 5, 17, 20
MAX_COUNT, MAX_AGE = 10, 25
SETTINGS = (f"max_backup_count = {MAX_COUNT}", f"max_backup_age = {MAX_AGE}")
WIDTH = 200

TOO_OLD = "older than 25 days (max_backup_age)"
TOO_MANY = "more than the 10 newest complete backups (max_backup_count)"
NEWEST = "the newest complete backup, which never goes"
NOT_YET = "within max_backup_age (25 days) and max_backup_count (10)"
ROW = re.compile(
    r"(?P<name>night-\d\d)  \d{4}-\d\d-\d\d \d\d:\d\d:\d\d  (?P<state>\w+) +(?P<verdict>keep|delete) +(?P<reason>\S.*)"
)


def name(night: int) -> str:
    return f"night-{night:02}"


def made(night: int, node: str) -> Made | None:
    """What there is of that night on this node: a file that all nights share, and one of its own."""
    files = {"nb-1-big-Data.db": bytes(1000), f"nb-{night + 2}-big-Data.db": bytes(100)}
    usual = Made(node, ring=RING, files=files)
    if night in {UNFINISHED, GIVEN_UP} and node == NODES[7]:
        return None if night == UNFINISHED else replace(usual, end="begun", abandoned=True)
    if night == PARTIAL:
        return replace(usual, tables=("shop.orders",))
    if night == CORRUPT and node == NODES[3]:
        return replace(usual, corrupt=frozenset(files))
    if night == ALONE:
        return replace(usual, ring={node: "dc1"}) if node == NODES[0] else None
    return usual


def fill(folder: Path) -> None:
    """The bucket as it would be now."""
    now, revisions = time.time(), iter(range(10**9))
    at = now
    bucket = MemoryBucket(clock=lambda: at)
    store = bucket.open(None)
    for night in reversed(NIGHTS):
        at = now - night * DAY - HOUR
        for given in filter(None, (made(night, node) for node in NODES)):
            Maker(store, Layout()).ship(name(night), given)
    at = now
    reconcile(store, Layout(), now=now, revision=lambda: f"r{next(revisions)}")
    for stored in store.list(""):
        if not stored.key.startswith(Layout().all_rows()):
            path = folder / stored.key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(store.read(stored.key).body)
            os.utime(path, (stored.modified, stored.modified))


@dataclass(frozen=True)
class Planned:
    """What the command said, and its rows as (state, verdict, reason) by name."""

    program: Program
    done: Done

    @property
    def lines(self) -> list[str]:
        return self.done.out.splitlines()

    @property
    def rows(self) -> dict[str, tuple[str, str, str]]:
        found = (ROW.fullmatch(line) for line in self.lines[1 : 1 + len(NIGHTS)])
        return {each["name"]: (each["state"], each["verdict"], each["reason"]) for each in found if each}


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Planned:
    program = Program(tmp_path_factory.mktemp("large"), SETTINGS, ("purge_max_share = 0.5",))
    program.bucket.mkdir()
    fill(program.bucket)
    assert program.run("hold", "--backup-name", name(HELD), "--why", "audit, ask Anna").code == 0
    before = tree(program.bucket)
    done = program.run("purge", "--dry-run")
    assert done.code == 0, done.err
    assert tree(program.bucket) == before, "a look writes nothing"
    return Planned(program, done)


def test_each_night_is_one_line_the_oldest_first_with_verdict_and_reason(planned: Planned) -> None:
    assert planned.lines[0].split() == ["Name", "Started", "State", "Verdict", "Reason"]
    assert list(planned.rows) == [name(night) for night in reversed(NIGHTS)]
    usual = {
        name(night): ("complete", "delete", TOO_OLD)
        if night >= MAX_AGE
        else ("complete", "delete", TOO_MANY)
        if night > MAX_COUNT + len({UNFINISHED, PARTIAL, ALONE, CORRUPT}) - 1
        else ("complete", "keep", NOT_YET)
        for night in NIGHTS
    }
    special = {
        name(0): ("complete", "keep", NEWEST),
        name(UNFINISHED): (
            "incomplete",
            "keep",
            "unfinished, but its nodes were at work less than 14 days ago (incomplete_grace_days)",
        ),
        name(PARTIAL): ("partial", "keep", f"only part of each node; {NOT_YET}"),
        name(ALONE): (
            "complete",
            "keep",
            f"its ring is smaller than before: it holds 1 of 60 nodes in dc1 as {name(CORRUPT)} knew them; {NOT_YET}",
        ),
        name(CORRUPT): ("corrupt", "keep", f"it has corrupt components; {NOT_YET}"),
        name(GIVEN_UP): (
            "incomplete",
            "delete",
            "unfinished, and no node was at work on it for 14 days (incomplete_grace_days)",
        ),
    }
    state, verdict, reason = planned.rows[name(HELD)]
    assert (state, verdict) == ("complete", "keep")
    assert re.fullmatch(r"held by \S+: audit, ask Anna", reason)
    assert planned.rows == {**usual, **special, name(HELD): (state, verdict, reason)}


def test_the_totals_say_how_much_goes_and_that_the_brake_would_stop_it(planned: Planned) -> None:
    gone = [night for night in NIGHTS if planned.rows[name(night)][1] == "delete"]
    text = "\n".join(planned.lines[1 + len(NIGHTS) :])
    assert (
        f"{len(gone)} of 30 cluster backups go, {30 - len(gone)} stay; {len(gone) - 1} of 26 complete ones go." in text
    )
    assert "of 26 complete backups" in text
    assert "would need --force" in text


def test_sixty_nodes_make_it_neither_longer_nor_wider(planned: Planned) -> None:
    """Nothing is said node by node: a table that a terminal shows at once."""
    assert len(planned.lines) < len(NIGHTS) + 8
    assert max(map(len, planned.lines)) <= WIDTH
    assert not any(node in planned.done.out for node in NODES)
    assert planned.done.err == ""
