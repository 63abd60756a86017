"""Which slot of a schedule is due: missed, skipped, retried, in another order of the ring, and under clocks that are wrong."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timezone
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backupstore.settings.schedules import read_schedule
from shipper.agent.slots import Begin, Diary, Stand, Turn, Wait, believable, decide, pause
from shipper.timetable import Timetable

DAY, HOUR, MINUTE = 86_400.0, 3600.0, 60.0
NOON = datetime(2026, 11, 23, 12, tzinfo=timezone.utc).timestamp()
NIGHTLY = Timetable(read_schedule("15 3 * * *"))
HOURLY = Timetable(read_schedule("0 * * * *"))
TONIGHT = NOON + 15.25 * HOUR


def turn(slot: float, stand: Stand = "good", tries: int = 1, tried: float | None = None) -> Turn:
    return Turn(slot=slot, stand=stand, tries=tries, tried=slot if tried is None else tried)


@pytest.mark.parametrize(
    "text", ["15 3 * * *", "*/7 * * * *", "* 1 * * *", "0 0 29 2 *", "* * * jan *", "0 12 13 * fri"]
)
@given(at=st.floats(NOON, NOON + 3000 * DAY))
def test_the_last_time_is_the_one_after_which_nothing_comes_until_now(text: str, at: float) -> None:
    table = Timetable(read_schedule(text))
    last = table.last(at)
    assert last is not None
    assert last <= at < table.after(last)
    assert table.last(last) == last


def test_what_was_due_before_the_agent_was_there_is_nobodys() -> None:
    assert decide(NIGHTLY, Diary(since=NOON), now=NOON + 1, offset=0) == Wait(TONIGHT)


def test_a_slot_begins_at_its_time() -> None:
    diary = Diary(since=NOON)
    assert decide(NIGHTLY, diary, now=TONIGHT - 0.001, offset=0) == Wait(TONIGHT)
    assert decide(NIGHTLY, diary, now=TONIGHT, offset=0) == Begin(TONIGHT)


def test_of_missed_slots_the_newest_is_made_up_for_and_the_others_are_told() -> None:
    diary = Diary(since=NOON, turn=turn(TONIGHT))
    late = TONIGHT + 3 * DAY + 5 * HOUR
    assert decide(NIGHTLY, diary, now=late, offset=0) == Begin(TONIGHT + 3 * DAY, (TONIGHT + DAY, TONIGHT + 2 * DAY))
    made_up = diary.model_copy(update={"turn": turn(TONIGHT + 3 * DAY)})
    assert decide(NIGHTLY, made_up, now=late, offset=0) == Wait(TONIGHT + 4 * DAY)


def test_a_backup_that_takes_longer_than_a_slot_leaves_out_what_it_covers() -> None:
    one = NOON + HOUR
    took = Diary(since=NOON, turn=turn(one))
    assert decide(HOURLY, took, now=one + 0.5 * HOUR, offset=0) == Wait(one + HOUR)
    assert decide(HOURLY, took, now=one + 1.5 * HOUR, offset=0) == Begin(one + HOUR)
    assert decide(HOURLY, took, now=one + 2.5 * HOUR, offset=0) == Begin(one + 2 * HOUR, (one + HOUR,))


def test_a_failure_is_tried_again_with_longer_and_longer_pauses_until_the_next_slot() -> None:
    begun, tries, at = [], 0, TONIGHT
    diary = Diary(since=NOON)
    while True:
        action = decide(NIGHTLY, diary, now=at, offset=0)
        if isinstance(action, Wait):
            assert action.until > at
            at = action.until
            continue
        if action.slot != TONIGHT:
            break
        begun.append(at)
        tries += 1
        diary = diary.model_copy(update={"turn": turn(TONIGHT, "failed", tries, at)})
    assert action == Begin(TONIGHT + DAY)
    assert [later - earlier for earlier, later in pairwise(begun)][:6] == [
        60,
        120,
        240,
        480,
        960,
        1800,
    ]
    assert max(later - earlier for earlier, later in pairwise(begun)) == 1800
    assert begun[-1] < TONIGHT + DAY


@pytest.mark.parametrize("stand", ["good", "corrupt", "given-up"])
def test_what_is_over_is_not_begun_again(stand: Stand) -> None:
    diary = Diary(since=NOON, turn=turn(TONIGHT, stand))
    assert decide(NIGHTLY, diary, now=TONIGHT + HOUR, offset=0) == Wait(TONIGHT + DAY)


def test_what_was_cut_off_is_gone_on_with_at_once_but_not_for_ever() -> None:
    for tries in (1, 2, 3):
        diary = Diary(since=NOON, turn=turn(TONIGHT, "doing", tries))
        assert decide(NIGHTLY, diary, now=TONIGHT + 1, offset=0) == Begin(TONIGHT)
    assert pause(turn(TONIGHT, "doing", 4)) > 60
    cut_off = Diary(since=NOON, turn=turn(TONIGHT, "doing", 1))
    assert decide(NIGHTLY, cut_off, now=TONIGHT + DAY, offset=0) == Begin(TONIGHT + DAY), (
        "the newer one takes its place"
    )


@given(stagger=st.integers(0, 3 * 3600), place=st.integers(0, 40))
def test_nodes_take_turns_and_all_of_them_give_the_same_name(stagger: int, place: int) -> None:
    offset = float(stagger * place)
    diary = Diary(since=NOON)
    assert decide(NIGHTLY, diary, now=TONIGHT + offset, offset=offset) == Begin(TONIGHT)
    waits = decide(NIGHTLY, diary, now=TONIGHT + offset - 1, offset=offset)
    assert waits == Wait(TONIGHT + offset)
    assert turn(TONIGHT).backup == "202611240315"


@pytest.fixture
def local_time(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[None]:
    """The machine is set to a time zone."""
    with monkeypatch.context() as patched:
        patched.setenv("TZ", request.param)
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("local_time")
@pytest.mark.parametrize(
    "local_time", ["UTC", "Europe/Berlin", "America/Sao_Paulo", "Pacific/Apia", "Australia/Lord_Howe"], indirect=True
)
@pytest.mark.parametrize("day", ["2026-03-29", "2026-10-25", "2026-11-01"])
def test_the_clocks_of_no_country_move_a_slot_or_its_name(day: str) -> None:
    begin = datetime.fromisoformat(f"{day}T00:00:00+00:00").timestamp()
    names, at = [], begin - 1
    for _ in range(24):
        at = HOURLY.after(at)
        names.append(turn(at).backup)
    assert names == [f"{day.replace('-', '')}{hour:02}00" for hour in range(24)]


def test_a_clock_that_was_years_ahead_does_not_end_all_backups() -> None:
    diary = Diary(since=NOON, turn=turn(NOON + 1000 * DAY))
    healed = believable(diary, NOON)
    assert decide(NIGHTLY, healed, now=NOON, offset=0) == Wait(TONIGHT)
    assert decide(NIGHTLY, healed, now=TONIGHT, offset=0) == Begin(TONIGHT)


def test_a_clock_that_is_set_back_a_little_does_nothing_twice() -> None:
    diary = Diary(since=NOON, turn=turn(TONIGHT))
    assert believable(diary, TONIGHT - HOUR) == diary
    for back in (MINUTE, HOUR):
        assert isinstance(decide(NIGHTLY, diary, now=TONIGHT - back, offset=0), Wait)
