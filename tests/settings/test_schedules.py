"""Lines of a crontab: which minutes they mean, told apart from the product by looking at every minute."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone

import pytest

from backupstore.settings.schedules import read_schedule
from shipper.timetable import Timetable

BEGIN = datetime(2026, 11, 23, 12, 34, 56, 700_000, timezone.utc)  # a Monday

# What the second column says, in the words of crontab(5).
MEANT = [
    ("15 3 * * *", lambda at: (at.hour, at.minute) == (3, 15)),
    ("*/7 * * * *", lambda at: at.minute % 7 == 0),
    ("5-59/20 * * * *", lambda at: at.minute in {5, 25, 45}),
    ("50/5 * * * *", lambda at: at.minute in {50, 55}),
    ("0 0 * * 0", lambda at: at.strftime("%a %H:%M") == "Sun 00:00"),
    ("0 0 * * 7", lambda at: at.strftime("%a %H:%M") == "Sun 00:00"),
    ("0 0 * * 1", lambda at: at.strftime("%a %H:%M") == "Mon 00:00"),
    ("0 22 * * 1-5", lambda at: at.strftime("%H:%M") == "22:00" and at.strftime("%a") not in {"Sat", "Sun"}),
    ("0 22 * * fri-sun", lambda at: at.strftime("%H:%M") == "22:00" and at.strftime("%a") in {"Fri", "Sat", "Sun"}),
    ("0 22 * * 5-7", lambda at: at.strftime("%H:%M") == "22:00" and at.strftime("%a") in {"Fri", "Sat", "Sun"}),
    ("0 22 * * */2", lambda at: at.strftime("%H:%M") == "22:00" and at.strftime("%a") in {"Sun", "Tue", "Thu", "Sat"}),
    ("30 4 1,15 * *", lambda at: at.strftime("%H:%M") == "04:30" and at.day in {1, 15}),
    ("30 4 * Dec,jan mon", lambda at: at.strftime("%H:%M %a") == "04:30 Mon" and at.month in {12, 1}),
    # Where both kinds of days are given, one is enough; a star is none, though it has a step.
    ("0 12 13 * fri", lambda at: at.strftime("%H:%M") == "12:00" and (at.day == 13 or at.strftime("%a") == "Fri")),
    ("0 12 */2 * fri", lambda at: at.strftime("%H:%M %a") == "12:00 Fri" and at.day % 2),
]


def minutes() -> Iterator[datetime]:
    at = BEGIN.replace(second=0, microsecond=0)
    while True:
        at += timedelta(minutes=1)
        yield at


@pytest.mark.parametrize(("text", "meant"), MEANT, ids=[text for text, _ in MEANT])
def test_what_a_schedule_means(text: str, meant: object) -> None:
    assert callable(meant)
    expected: list[float] = []
    for at in minutes():
        if meant(at):
            expected.append(at.timestamp())
        if len(expected) == 5:
            break
    found, table = [BEGIN.timestamp()], Timetable(read_schedule(text))
    for _ in expected:
        found.append(table.after(found[-1]))
    assert found[1:] == expected


def test_a_day_that_comes_once_in_four_years() -> None:
    found = Timetable(read_schedule("0 0 29 2 *")).after(BEGIN.timestamp())
    assert datetime.fromtimestamp(found, timezone.utc) == datetime(2028, 2, 29, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("daily", "has not five fields"),
        ("15 3 * *", "has not five fields"),
        ("15 3 * * * *", "has not five fields"),
        ("60 3 * * *", "has no minute from 0 to 59"),
        ("15 24 * * *", "has no hour from 0 to 23"),
        ("15 3 0 * *", "has no day of the month from 1 to 31"),
        ("15 3 * 13 *", "has no month from 1 to 12"),
        ("15 3 * * 8", "has no day of the week from 0 to 7"),
        ("15 3 * * mon,foo", "has no day of the week from 0 to 7"),
        ("15 jan * * *", "has no hour from 0 to 23"),
        ("15 9-3 * * *", "has no hour from 0 to 23"),
        ("*/0 3 * * *", "has no minute from 0 to 59"),
        ("-5 3 * * *", "cannot be read: what stands for the minute"),
        ("15 3, * * *", "cannot be read: what stands for the hour"),
        ("15 3 * * mon#1", "cannot be read: what stands for the day of the week"),
        ("15 3 30 2 *", "names a day that no such month has"),
        ("15 3 31 feb,apr *", "names a day that no such month has"),
    ],
)
def test_what_never_comes_or_cannot_be_read_is_refused(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        read_schedule(text)
