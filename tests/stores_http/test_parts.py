"""The parts of stores over HTTP that need no server: retries, bandwidth, memory, heads of answers, times, deletions."""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import pairwise

import pytest

from backupstore.errors import BackupError, Corrupt, Retryable
from backupstore.stores.bandwidth import Bandwidth
from backupstore.stores.http.head import BadAnswer, read_head
from backupstore.stores.http.memory import Memory, Share
from backupstore.stores.http.retry import Again, Patience, Retrying
from backupstore.stores.http.times import http_time
from tests.clocks import SettableClock, SharedClock

MIB = 1 << 20


class TestRetries:
    def retry(self, clock: SettableClock, attempt: Callable[[], str], chance: float = 1.0) -> str:
        return Retrying(clock, Patience(), lambda: chance).run(attempt)

    @pytest.mark.parametrize("chance", [0.0, 0.5, 1.0])
    def test_a_minute_of_refusals_is_survived(self, chance: float) -> None:
        clock = SettableClock()
        end = clock.running() + 60
        tries: list[float] = []

        def attempt() -> str:
            tries.append(clock.running())
            if clock.running() < end:
                raise Again(Retryable("busy"))
            return "done"

        assert self.retry(clock, attempt, chance) == "done"
        assert len(tries) < 30
        pauses = [later - earlier for earlier, later in pairwise(tries)]
        assert pauses[0] < 0.21
        assert max(pauses) <= 10

    def test_patience_ends(self) -> None:
        clock = SettableClock()
        begun = clock.running()
        with pytest.raises(Retryable, match="busy"):
            self.retry(clock, lambda: _fail(Again(Retryable("busy"))))
        assert 75 < clock.running() - begun <= 90

    def test_long_attempts_get_some_more_tries(self) -> None:
        clock = SettableClock()
        tries: list[int] = []

        def attempt() -> str:
            tries.append(1)
            clock.advance(300)
            raise Again(Retryable("lost"))

        with pytest.raises(Retryable):
            self.retry(clock, attempt)
        assert len(tries) == 4

    def test_the_store_may_ask_for_time(self) -> None:
        clock = SettableClock()
        begun = clock.running()
        answers = iter([Again(Retryable("busy"), after=7.0)])
        assert self.retry(clock, lambda: _fail_or(next(answers, None))) == "done"
        assert clock.running() - begun == 7

    def test_what_more_tries_do_not_help_is_over_soon(self) -> None:
        tries: list[int] = []

        def attempt() -> str:
            tries.append(1)
            raise Again(Corrupt("flipped"), most=3)

        with pytest.raises(Corrupt):
            self.retry(SettableClock(), attempt)
        assert len(tries) == 3

    def test_other_means_need_no_pause_once(self) -> None:
        clock = SettableClock()
        begun = clock.running()
        answers = iter([Again(Retryable("stale"), at_once=True)])
        assert self.retry(clock, lambda: _fail_or(next(answers, None))) == "done"
        assert clock.running() == begun


def _fail(error: Again) -> str:
    raise error


def _fail_or(error: Again | None) -> str:
    if error:
        raise error
    return "done"


class TestBandwidth:
    def test_the_cap_holds_over_all_threads(self) -> None:
        clock = SharedClock()
        lanes = Bandwidth(4 * MIB, clock)
        begun = clock.running()

        def send() -> None:
            for _ in range(8):
                lanes.up.take(lanes.piece)

        threads = [threading.Thread(target=send) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert clock.running() - begun >= 31 * lanes.piece / (4 * MIB)

    def test_nothing_is_saved_up(self) -> None:
        clock = SettableClock()
        lane = Bandwidth(1000, clock).down
        lane.take(1000)
        clock.advance(100)
        lane.take(1000)
        begun = clock.running()
        lane.take(1000)
        assert clock.running() - begun == 1

    def test_each_way_has_its_own(self) -> None:
        clock = SettableClock()
        lanes = Bandwidth(1000, clock)
        begun = clock.running()
        lanes.up.take(5000)
        lanes.down.take(5000)
        assert clock.running() == begun

    def test_pieces_are_small_where_the_cap_is_low(self) -> None:
        assert Bandwidth(100 * MIB, SettableClock()).piece == MIB
        assert Bandwidth(MIB, SettableClock()).piece == MIB // 20
        assert Bandwidth(1000, SettableClock()).piece == 16 << 10


class TestMemory:
    def test_who_finds_none_waits(self) -> None:
        memory = Memory(10)
        memory.take(6)
        assert not memory.take_if_free(5)
        waiting = threading.Thread(target=memory.take, args=(5,))
        waiting.start()
        waiting.join(0.1)
        assert waiting.is_alive()
        memory.give_back(6)
        waiting.join(10)
        assert not waiting.is_alive()

    def test_more_than_all_of_it_can_be_had_alone(self) -> None:
        memory = Memory(10)
        memory.take(50)
        assert not memory.take_if_free(1)
        memory.give_back(50)
        assert memory.take_if_free(1)

    def test_a_share_is_given_back_however_it_ends(self) -> None:
        memory = Memory(10)

        def transfer() -> None:
            with Share(memory) as share:
                share.take(3)
                share.take(7)
                share.give_back(3)
                raise ValueError("broken")

        with pytest.raises(ValueError, match="broken"):
            transfer()
        assert memory.take_if_free(10)


class TestHeads:
    @pytest.mark.parametrize("status", [204, 304, 100])
    def test_some_answers_have_no_body(self, status: int) -> None:
        head = read_head(f"HTTP/1.1 {status} x\r\ncontent-length: 5", head_only=False, last=False)
        assert not head.has_body

    def test_an_error_may_end_with_its_connection(self) -> None:
        head = read_head("HTTP/1.1 502 x\r\nserver: a proxy", head_only=False, last=False)
        assert head.has_body
        assert head.last
        with pytest.raises(BadAnswer):
            read_head("HTTP/1.1 200 x\r\nserver: a proxy", head_only=False, last=False)


class TestTimes:
    def test_of_a_header(self) -> None:
        assert http_time("Sun, 01 Mar 2026 12:00:00 GMT") == 1772366400
        assert http_time("yesterday") == 0


def test_again_is_no_error_of_ours() -> None:
    assert not issubclass(Again, BackupError)
