"""Many nodes at a time, and none that goes on when nobody waits for it any more."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from backupstore.operations.verify_node import Wanted
from backupstore.ports import ObjectStore, Sink, StoredObject
from shipper.verifying import verify_in_threads
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

    (verified,) = verify_in_threads(Meeting(ring.store), ring.layout, ["b"], Wanted(), workers=len(NODES))
    assert verified.tally.ok
    assert verified.nodes == len(NODES)


def test_when_one_ends_it_all_the_others_end_too() -> None:
    ring = Ring()
    ring.back_up("b")
    reading = threading.Event()

    class Enough(BaseException):
        pass

    class Endless(Around):
        def __init__(self, store: ObjectStore) -> None:
            super().__init__(store)
            self.ended = 0

        def fetch(self, key: str, sink: Sink) -> StoredObject:
            if key.startswith(ring.layout.shared_data("n1")):
                reading.wait(60)
                raise Enough
            if key.startswith(ring.layout.node("n2")) and key.endswith(".db"):
                reading.set()
                try:
                    while True:
                        sink(b"")
                finally:
                    self.ended += 1
            return super().fetch(key, sink)

    store = Endless(ring.store)
    with pytest.raises(Enough):
        verify_in_threads(store, ring.layout, ["b"], Wanted("content"), workers=2)
    assert store.ended == 1
