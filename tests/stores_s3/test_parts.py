"""The parts of the S3 engine that need no server: retries, bandwidth, memory, XML, sizes of parts."""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backupstore.errors import BackupError, Corrupt, Retryable
from backupstore.stores.bandwidth import Bandwidth
from backupstore.stores.http.memory import Memory, Share
from backupstore.stores.http.retry import Again, Patience, Retrying
from backupstore.stores.s3 import documents
from backupstore.stores.s3.integrity import Body, Expected, crc64, crc_text
from backupstore.stores.s3.options import Encryption, Storing
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


class TestChecksums:
    def test_crc64nvme_is_the_one_of_the_standard(self) -> None:
        assert crc64(b"123456789") == 0xAE8B14860A799888
        assert crc_text(crc64(b"")) == "AAAAAAAAAAA="

    @given(pieces=st.lists(st.binary(max_size=50), max_size=8))
    def test_pieces_make_no_difference(self, pieces: list[bytes]) -> None:
        whole = b"".join(pieces)
        assert Body(pieces).crc == Body([whole]).crc
        assert Body(pieces).md5 == Body([whole]).md5
        assert Body(pieces).sha256 == Body([whole]).sha256
        assert Body(pieces).size == len(whole)

    @pytest.mark.parametrize(
        ("name", "value"),
        [("crc64nvme", "rosUhgp5mIg="), ("crc32", "y/Q5Jg=="), ("crc32c", "4waSgw==")],
    )
    def test_what_comes_is_compared_with_what_the_store_says(self, name: str, value: str) -> None:
        for body, right in ((b"123456789", True), (b"123456780", False)):
            expected = Expected({f"x-amz-checksum-{name}": value})
            expected.take([body[:4], body[4:]])
            assert expected.is_met() is right

    def test_a_checksum_of_parts_says_nothing_of_the_whole(self) -> None:
        for headers in ({"x-amz-checksum-crc32": "y/Q5Jg==-3"}, {"x-amz-checksum-type": "COMPOSITE"}, {}):
            expected = Expected(headers)
            expected.take([b"anything"])
            assert expected.is_met()


class TestDocuments:
    def test_times(self) -> None:
        assert documents.iso_time("2026-03-01T12:00:00Z") == 1772366400
        assert documents.iso_time("2026-03-01T12:00:00.123456789Z") == pytest.approx(1772366400.123, abs=0.001)
        assert documents.http_time("Sun, 01 Mar 2026 12:00:00 GMT") == 1772366400
        assert documents.http_time("yesterday") == 0
        with pytest.raises(Corrupt):
            documents.iso_time("yesterday")

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"not xml",
            b"<a>",
            b"<a><b></a>",
            b'<!DOCTYPE a [<!ENTITY b "bbbb">]><a>&b;</a>',
            b"\xff\xfe<\x00a\x00/\x00>\x00",
            b"<ListBucketResult><Contents><Key>a</Key></Contents></ListBucketResult>",
            b"<ListBucketResult><Contents><Key>a</Key><Size>-1</Size></Contents></ListBucketResult>",
            b"<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
        ],
    )
    def test_a_listing_that_is_none_is_corrupt(self, body: bytes) -> None:
        with pytest.raises(Corrupt) as caught:
            documents.page_of(body)
        assert caught.value.hint

    @given(keys=st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=10), max_size=4))
    def test_keys_survive_the_request_that_deletes_them(self, keys: list[str]) -> None:
        writable = [key for key in keys if documents.is_writable(key)]
        found = [element.text for element in documents.parse(documents.deletion(writable)).iter("Key")]
        assert found == writable


class TestOptions:
    @given(size=st.integers(1, 5 << 40), chunk=st.sampled_from([1, 5 * MIB, 16 * MIB, 50 * MIB]))
    def test_parts_are_as_s3_takes_them(self, size: int, chunk: int) -> None:
        part = Storing(part_size=chunk).part_size_for(size)
        assert part >= 5 * MIB
        assert -(-size // part) <= 10_000

    def test_headers_of_encryption(self) -> None:
        assert Encryption().creating == {}
        assert Encryption(by_store=True).creating == {"x-amz-server-side-encryption": "AES256"}
        assert Encryption(kms_id="key").using == {}
        assert Encryption(kms_id="key").creating["x-amz-server-side-encryption-aws-kms-key-id"] == "key"
        customer = Encryption(customer_key="AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")
        assert customer.creating == customer.using
        assert customer.using["x-amz-server-side-encryption-customer-key-md5"] == "cLyPS3KoaSFGi/joRB3OUQ=="


def test_again_is_no_error_of_ours() -> None:
    assert not issubclass(Again, BackupError)
