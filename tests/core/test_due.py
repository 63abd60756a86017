"""What is due follows from the head and the time alone; in every interval one part of the data is read, none is left out."""

from __future__ import annotations

import pytest

from backupstore.core.documents import Head, Line, State, Verification
from backupstore.core.due import Due, Rhythm, due
from backupstore.core.verification import Subset

DAY = 86_400.0
NOW = 20_000.25 * DAY
DAILY = Rhythm(DAY, 0.25)


def line(name: str, *levels: Verification, state: State = "complete", finished: float | None = None) -> Line:
    end = None if state == "incomplete" else NOW - DAY if finished is None else finished
    return Line(
        name=name, started=1.0, finished=end, state=state, mode="full", size=1, objects=1,
        expected=1, completed=1, roster=0, levels=levels,
    )  # fmt: skip


def listed(at: float = NOW) -> Verification:
    return Verification(at=at, level="listing", ok=True)


def read(at: float, subset: str | None) -> Verification:
    return Verification(at=at, level="content", ok=True, subset=subset)


def head(*lines: Line) -> Head:
    return Head(revision="r", checked=NOW, backups=lines)


def asked(*lines: Line, now: float = NOW, rhythm: Rhythm = DAILY, at: set[tuple[str, str]] | None = None) -> list[Due]:
    return list(due(head(*lines), rhythm, now=now, under_way=at or set()))  # type: ignore[arg-type]  # levels


def test_what_has_become_complete_is_looked_at_at_once_whatever_its_state() -> None:
    found = asked(line("a"), line("p", state="partial"), line("c", state="corrupt"), line("i", state="incomplete"))
    assert found[0] == Due("listing", ("a", "p", "c"))
    assert [each.level for each in found] == ["listing", "content"]


def test_all_is_looked_at_again_when_its_last_look_is_old() -> None:
    old, fresh = listed(NOW - DAY), listed(NOW - DAY + 1)
    partial = line("p", old, state="partial")
    found = asked(
        line("a", old), line("b", fresh), line("c", old, read(NOW - 1, "1/4")), partial, rhythm=Rhythm(DAY, 0)
    )
    assert found == [Due("structure", ("a", "p"))]


def test_a_level_that_was_bad_long_ago_is_no_reason_to_look_again_and_again() -> None:
    bad = Verification(at=NOW - 9 * DAY, level="content", ok=False)
    assert asked(line("a", listed(), bad), rhythm=Rhythm(DAY, 0)) == []


def test_what_is_under_way_is_left_to_those_who_are_at_it() -> None:
    assert asked(line("a"), at={("listing", "a"), ("content", "a")}) == []
    (found,) = asked(line("a"), line("b"), at={("listing", "a"), ("content", "b")})
    assert found == Due("listing", ("b",))
    old = line("a", listed(NOW - DAY), read(NOW - DAY, "1/4"))
    assert [each.level for each in asked(old, at={("structure", "a")})] == ["content"]


def test_the_last_complete_backup_is_read_once_in_each_interval() -> None:
    ring = (line("a", listed(), finished=NOW - 3 * DAY), line("b", listed()), line("p", listed(), state="partial"))
    (found,) = asked(*ring)
    assert found == Due("content", ("b",), Subset(0, 4))
    done = (ring[0], line("b", listed(), read(NOW - 100, "1/4")))
    assert asked(*done) == []
    assert asked(*done, line("c", listed(), finished=NOW)) == [], "of another one, the same part was read today"
    (tomorrow,) = asked(*done, now=NOW + DAY - 1, rhythm=Rhythm(DAY, 0.25))[-1:]
    assert tomorrow == Due("content", ("b",), Subset(1, 4))


def test_what_an_operator_reads_of_something_else_leaves_nothing_out() -> None:
    elsewhere = line("a", listed(), read(NOW - 1, None), finished=NOW - 3 * DAY)
    part = line("a", listed(), read(NOW - 1, "3/4"), finished=NOW - 3 * DAY)
    for other in (elsewhere, part):
        assert [each.level for each in asked(other, line("b", listed()))] == ["content"]
    assert asked(line("b", listed(), read(NOW - 1, None))) == [], "all of it was read today"


@pytest.mark.parametrize("share", [0.25, 1.0])
def test_whoever_asks_at_odd_times_reads_every_part_in_turn(share: float) -> None:
    rhythm, backup, parts, now = Rhythm(DAY, share), line("b", listed(NOW + 99 * DAY)), [], NOW
    while now < NOW + 8 * DAY:
        for each in asked(backup, now=now, rhythm=rhythm):
            part = None if each.subset is None else str(each.subset)
            parts.append(part)
            backup = line("b", listed(NOW + 99 * DAY), read(now, part))
        now += 0.7 * DAY
    expected = [None] * 8 if share == 1 else ["1/4", "2/4", "3/4", "4/4"] * 2
    assert parts[:8] == expected
