"""What is done at set times: when, how often, and what becomes of it when it fails or the process ends."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from backupstore.core.documents import encode
from backupstore.core.layout import Layout
from backupstore.core.purge_records import PurgeRecord, run_name
from backupstore.errors import Retryable
from backupstore.operations.purge_history import last_scheduled
from backupstore.ports import ObjectStore
from backupstore.settings.schedules import read_schedule
from backupstore.stores.memory import MemoryBucket
from shipper.in_threads import Ended, hands
from shipper.scheduled import Scheduled
from shipper.timetable import Timetable
from tests.clocks import SettableClock

DAY, HOUR = 86_400.0, 3600.0
NOON = 1_800_014_400.0  # 2027-01-15 12:00 UTC
CLUSTERS = ("east", "west")


@dataclass
class Kept:
    """A task that remembers what it did, and when it was told that it was last done; ``act`` is what it does."""

    name: str = "purge"
    told: dict[str, float] = field(default_factory=dict)
    done: list[str] = field(default_factory=list)
    act: Callable[[], None] = lambda: None

    def last(self, prefix: str) -> float | None:
        return self.told.get(prefix)

    def run(self, prefix: str, store: ObjectStore) -> None:
        assert store is not None
        self.done.append(prefix)
        self.act()


@dataclass
class Watch:
    """A task at three in the morning."""

    task: Kept = field(default_factory=Kept)
    clock: SettableClock = field(default_factory=lambda: SettableClock(NOON))
    store: ObjectStore = field(default_factory=lambda: MemoryBucket().open(None))

    def started(self) -> Scheduled:
        return Scheduled(self.task, Timetable(read_schedule("0 3 * * *")), self.clock, threading.Event())

    def look(self, scheduled: Scheduled, clusters: tuple[str, ...] = CLUSTERS) -> list[str]:
        """What one look of the loop led to."""
        before = len(self.task.done)
        scheduled.look(clusters, self.store)
        wait_for(scheduled)
        return self.task.done[before:]


def wait_for(scheduled: Scheduled) -> None:
    thread = scheduled._thread
    if thread is not None:
        thread.join(30)
        assert not thread.is_alive()


def test_it_is_done_at_its_time_once_for_each_cluster() -> None:
    watch = Watch()
    scheduled = watch.started()
    assert watch.look(scheduled) == [], "what was due before anybody asked for it is not made up for"
    watch.clock.advance(15 * HOUR - 1)
    assert watch.look(scheduled) == []
    watch.clock.advance(1)
    assert watch.look(scheduled) == ["east", "west"]
    assert watch.look(scheduled) == []
    watch.clock.advance(DAY)
    assert watch.look(scheduled, (*CLUSTERS, "new")) == ["east", "west", "new"]


def test_times_that_have_passed_are_made_up_for_once() -> None:
    watch = Watch()
    scheduled = watch.started()
    watch.look(scheduled)
    watch.clock.advance(5 * DAY)
    assert watch.look(scheduled) == ["east", "west"]
    assert watch.look(scheduled) == []


def test_a_restart_neither_leaves_a_time_out_nor_does_it_again() -> None:
    watch = Watch()
    night = NOON - 9 * HOUR
    watch.task.told = {"east": night + 60, "west": night - DAY}
    assert watch.look(watch.started()) == ["west"]
    watch.clock.advance(DAY)
    watch.task.told["west"] = night + 12 * HOUR
    assert watch.look(watch.started()) == ["east", "west"]


def test_a_run_told_of_in_the_future_does_not_end_all_purges() -> None:
    watch = Watch()
    watch.task.told = dict.fromkeys(CLUSTERS, NOON + 1000 * DAY)
    scheduled = watch.started()
    assert watch.look(scheduled) == []
    watch.clock.advance(DAY)
    assert watch.look(scheduled) == [], "until the clock was set it is thought to be of now"
    watch.task.told = {}
    watch.clock.advance(DAY)
    assert watch.look(scheduled) == ["east", "west"]


def test_it_is_never_done_twice_at_once() -> None:
    watch, goes_on, began = Watch(), threading.Event(), threading.Event()

    def wait() -> None:
        began.set()
        assert goes_on.wait(30)

    watch.task.act = wait
    scheduled = watch.started()
    watch.look(scheduled, ("east",))
    watch.clock.advance(DAY)
    scheduled.look(("east",), watch.store)
    assert began.wait(30)
    watch.clock.advance(DAY)
    for _ in range(3):
        scheduled.look(("east",), watch.store)
    assert watch.task.done == ["east"]
    goes_on.set()
    wait_for(scheduled)
    assert watch.look(scheduled, ("east",)) == ["east"], "the time that passed meanwhile"
    assert watch.look(scheduled, ("east",)) == []


@pytest.mark.parametrize("where", ["last", "run"])
def test_what_fails_is_told_and_tried_again_soon_and_holds_up_no_other_cluster(
    caplog: pytest.LogCaptureFixture, where: str
) -> None:
    @dataclass
    class Failing(Kept):
        failing: bool = True

        def last(self, prefix: str) -> float | None:
            if self.failing and prefix == "east" and where == "last":
                raise Retryable("no connection")
            return super().last(prefix)

        def run(self, prefix: str, store: ObjectStore) -> None:
            if self.failing and prefix == "east":
                raise Retryable("no connection")
            super().run(prefix, store)

    task = Failing(told=dict.fromkeys(CLUSTERS, NOON - 2 * DAY))
    watch = Watch(task)
    scheduled = watch.started()
    assert watch.look(scheduled) == ["west"]
    assert "purge failed, and is tried again in 5 minutes: no connection" in caplog.text
    task.failing = False
    watch.clock.advance(299)
    assert watch.look(scheduled) == []
    watch.clock.advance(1)
    assert watch.look(scheduled) == ["east"]


def test_the_end_of_the_process_ends_it_at_its_next_call() -> None:
    watch = Watch()
    watch.task.told = {"east": NOON - 2 * DAY}
    scheduled = watch.started()

    def keep_on() -> None:
        if scheduled.ending.is_set():
            raise Ended

    def work() -> None:
        with hands(watch.store, 4, keep_on) as held:
            began.set()
            while True:
                list(held.each(lambda key: held.store.create(key, b""), [f"a/{next(numbers)}" for _ in range(8)]))

    began, numbers = threading.Event(), iter(range(1 << 30))
    watch.task.act = work
    scheduled.look(CLUSTERS, watch.store)
    assert began.wait(30)
    scheduled.stop()
    wait_for(scheduled)
    assert watch.task.done == ["east"], "nor is another cluster begun"


def test_threads_end_at_their_next_call_when_the_work_is_left() -> None:
    store, began, ended = MemoryBucket().open(None), threading.Event(), list[int]()

    def leave() -> None:
        with hands(store, 2) as held:

            def work(number: int) -> None:
                try:
                    while True:
                        held.store.entries("a/")
                        began.set()
                except Ended:
                    ended.append(number)
                    raise

            held.each(work, range(10))
            assert began.wait(30)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        leave()
    assert 1 <= len(ended) <= 2, "those that were at work; what had not begun never does"


def test_many_things_are_done_at_once_and_answered_in_their_order() -> None:
    together = threading.Barrier(4)

    def work(number: int) -> int:
        assert together.wait(30) >= 0
        return number * 10

    with hands(MemoryBucket().open(None), 4) as held:
        assert list(held.each(work, range(8))) == [0, 10, 20, 30, 40, 50, 60, 70]


def test_trouble_of_one_is_raised_in_its_place_and_a_defect_is_never_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    defects: list[object] = []
    monkeypatch.setattr(threading, "excepthook", lambda told: defects.append(told.exc_value))

    def work(number: int) -> int:
        if number == 2:
            raise Retryable("not now")
        if number == 4:
            raise ZeroDivisionError
        return number

    with hands(MemoryBucket().open(None), 1) as held:
        answers = iter(held.each(work, range(3)))
        assert [next(answers), next(answers)] == [0, 1]
        with pytest.raises(Retryable):
            next(answers)
    with hands(MemoryBucket().open(None), 1) as held, pytest.raises(RuntimeError):
        list(held.each(work, [3, 4]))
    assert [type(each) for each in defects] == [ZeroDivisionError]


def test_a_thread_that_hangs_is_left_behind() -> None:
    hangs, began = threading.Event(), threading.Event()

    def work(_: int) -> None:
        began.set()
        hangs.wait(60)

    with hands(MemoryBucket().open(None), 1) as held:
        held.each(work, [1])
        assert began.wait(30)
    assert not hangs.is_set()
    hangs.set()


def record(created: float, *, scheduled: bool, finished: bool, braked: bool = False) -> PurgeRecord:
    return PurgeRecord(
        revision="r",
        run=run_name(created, f"{created:f}"[::-1]),
        created=created,
        scheduled=scheduled,
        braked=braked,
        finished=created + 60 if finished else None,
    )


def test_the_bucket_tells_when_a_schedule_last_purged() -> None:
    store, layout = MemoryBucket().open(None), Layout("p")
    assert last_scheduled(store, layout) is None
    for each in (
        record(NOON, scheduled=True, finished=True),
        record(NOON + 1, scheduled=True, finished=True, braked=True),
        record(NOON + 2, scheduled=False, finished=True),
        record(NOON + 3, scheduled=True, finished=False),
    ):
        store.create(layout.purge(each.run), encode(each))
    store.create(layout.purge("unreadable"), b"{")
    assert last_scheduled(store, layout) == NOON + 1
