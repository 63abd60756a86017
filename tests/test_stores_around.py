"""Stores around other stores: an end to all calls, and conditions kept by looking first."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from contextlib import suppress

import pytest

from backupstore.errors import Conflict, Misconfigured, Retryable
from backupstore.ports import ObjectStore, StoredObject
from backupstore.stores.deadline import DeadlineStore
from backupstore.stores.memory import MemoryBucket, MemoryStore
from backupstore.stores.probe import probe_compare_and_swap
from backupstore.stores.single import SingleWriterStore
from backupstore.stores.sources import BytesSource
from tests.clocks import SettableClock
from tests.conformance.listing import Listing
from tests.conformance.object_store import ObjectStoreContract
from tests.conformance.reading import Reading
from tests.conformance.writing import Writing
from tests.interleaving import Around
from tests.test_stores_probe import KEY, LAYOUT, Unconditional


class TestDeadlineStoreInTime(ObjectStoreContract):
    @pytest.fixture
    def store(self) -> ObjectStore:
        return DeadlineStore(MemoryBucket().open(None), SettableClock(), 1e12)


class TestSingleWriterStore(Reading, Writing, Listing):
    """All of the contract but the races."""

    @pytest.fixture
    def store(self) -> ObjectStore:
        return SingleWriterStore(Unconditional(MemoryBucket(), None, LAYOUT, ""))

    @pytest.fixture
    def root(self) -> str:
        return f"contract-{uuid.uuid4().hex}/"


CALLS: dict[str, Callable[[ObjectStore], object]] = {
    "read": lambda store: store.read("f/a"),
    "read_if_changed": lambda store: store.read_if_changed("f/a", "1"),
    "fetch": lambda store: store.fetch("f/a", list[bytes]().append),
    "head": lambda store: store.head("f/a"),
    "create": lambda store: store.create("f/b", b""),
    "replace": lambda store: store.replace("f/a", b"", "1"),
    "put": lambda store: store.put("f/b", b""),
    "upload": lambda store: store.upload("f/b", BytesSource(b"")),
    "list": lambda store: list(store.list("f/")),
    "entries": lambda store: store.entries("f/"),
    "delete": lambda store: store.delete(["f/a"]),
}


@pytest.mark.parametrize("call", CALLS)
def test_no_call_begins_after_the_end(call: str) -> None:
    clock, inner = SettableClock(), MemoryBucket().open(None)
    inner.put("f/a", b"as it was")
    store = DeadlineStore(inner, clock, clock.running() + 10)
    clock.advance(10)
    with pytest.raises(Retryable, match=call):
        CALLS[call](store)
    assert [held.key for held in inner.list("")] == ["f/a"]
    assert inner.read("f/a").body == b"as it was"


def test_long_listings_and_downloads_end_in_between() -> None:
    clock, inner = SettableClock(), MemoryBucket().open(None)
    for number in range(5):
        inner.put(f"f/{number}", bytes(3 << 20))
    store = DeadlineStore(inner, clock, clock.running() + 3.5)
    listed = store.list("f/")
    for _ in range(4):
        next(listed)
        clock.advance(1)
    with pytest.raises(Retryable):
        next(listed)
    came: list[bytes] = []
    hurried = DeadlineStore(inner, SettableClock(step=1), 1002.5)
    with pytest.raises(Retryable):
        hurried.fetch("f/0", came.append)
    assert sum(map(len, came)) < 3 << 20


class Refusing(MemoryStore):
    """Does not know conditions, and says so."""

    def create(self, key: str, body: bytes) -> StoredObject:  # noqa: ARG002 -- whatever it is
        raise Misconfigured((f"create {key}: NotImplemented",))

    def replace(self, key: str, body: bytes, version: str) -> StoredObject:  # noqa: ARG002 -- the same
        raise Misconfigured((f"replace {key}: NotImplemented",))


class ReadOnly(Refusing):
    """Refuses everything that writes."""

    def put(self, key: str, body: bytes) -> StoredObject:  # noqa: ARG002 -- the same
        raise Misconfigured((f"put {key}: no such key of KMS",))


def test_a_store_that_refuses_conditions_has_none() -> None:
    store = Refusing(MemoryBucket(), None, LAYOUT, "")
    assert not probe_compare_and_swap(store, KEY, "r1")
    assert not probe_compare_and_swap(store, KEY, "r2")
    assert probe_compare_and_swap(SingleWriterStore(store), KEY, "r3")


def test_what_is_refused_without_conditions_too_has_another_reason() -> None:
    with pytest.raises(Misconfigured, match="no such key of KMS"):
        probe_compare_and_swap(ReadOnly(MemoryBucket(), None, LAYOUT, ""), KEY, "r1")


@pytest.mark.parametrize("verb", ["create", "replace"])
def test_threads_of_one_process_may_share_a_single_writer(verb: str) -> None:
    """Two that write the same version at once, each looking before the other has written."""
    met = threading.Barrier(2)

    class Slow(Around):
        def before(self, call: str) -> None:
            if call == "put":
                with suppress(threading.BrokenBarrierError):
                    met.wait(0.5)  # for another one that comes as far: there must be none

    inner = MemoryBucket().open(None)
    if verb == "replace":
        inner.create("a/b", b"")
    version = inner.read("a/b").version if verb == "replace" else ""
    store, won = SingleWriterStore(Slow(inner)), list[int]()

    def write(number: int) -> None:
        with suppress(Conflict):
            if verb == "create":
                store.create("a/b", b"x")
            else:
                store.replace("a/b", b"x", version)
            won.append(number)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(won) == 1
