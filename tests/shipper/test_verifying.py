"""Many nodes at a time, and none that goes on when nobody waits for it any more."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator

import pytest

from backupstore.operations.verify import verify
from backupstore.operations.verify_node import Wanted
from backupstore.ports import ObjectStore, Sink, StoredObject
from shipper.in_threads import Ended, hands
from tests.interleaving import Around
from tests.operations.ring import NODES, Ring


def test_nodes_are_looked_at_at_the_same_time() -> None:
    ring = Ring()
    ring.back_up("b")
    together = threading.Barrier(len(NODES), timeout=60)

    class Meeting(Around):
        def list(self, folder: str) -> Iterator[StoredObject]:
            if folder.endswith("/data/"):
                together.wait()
            return super().list(folder)

    with hands(Meeting(ring.store), len(NODES)) as held:
        (verified,) = verify(held.store, ring.layout, ["b"], Wanted(), held.each)
    assert verified.tally.ok
    assert verified.nodes == len(NODES)


def test_it_can_be_ended_at_any_call() -> None:
    ring = Ring()
    ring.back_up("b")

    def calls(most: int) -> int:
        """Look at all of it; the number of times that it was asked whether to go on."""
        asked = itertools.count(1)

        def keep_on() -> None:
            if next(asked) > most:
                raise Ended

        with hands(ring.store, 2, keep_on) as held:
            verify(held.store, ring.layout, ["b"], Wanted("content"), held.each)
        return next(asked) - 1

    needed = calls(1 << 30)
    assert needed > 3 * len(NODES)
    for most in range(needed):
        with pytest.raises(Ended):
            calls(most)


def test_when_one_ends_it_all_the_others_end_too() -> None:
    """A node whose part ends everything: the one that reads at the same time does not go on."""
    ring = Ring()
    ring.back_up("b")
    reading = threading.Event()

    class Endless(Around):
        def __init__(self, store: ObjectStore) -> None:
            super().__init__(store)
            self.ended = 0

        def fetch(self, key: str, sink: Sink) -> StoredObject:
            if key.startswith(ring.layout.shared_data("n1")):
                reading.wait(60)
                raise Ended
            if key.startswith(ring.layout.node("n2")) and key.endswith(".db"):
                reading.set()
                try:
                    while True:
                        sink(b"")
                finally:
                    self.ended += 1
            return super().fetch(key, sink)

    store = Endless(ring.store)
    with pytest.raises(Ended), hands(store, 2) as held:
        verify(held.store, ring.layout, ["b"], Wanted("content"), held.each)
    assert store.ended == 1
