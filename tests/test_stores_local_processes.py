"""Several processes on one directory bucket: races, and writers that are killed."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from pathlib import Path

import pytest

from backupstore.stores.local import LocalStore
from backupstore.stores.local_tree import Tree
from tests.conformance.local_bucket import go, race, start, unfinished
from tests.conformance.samples import keys_below, whole


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return tmp_path / "bucket"


@pytest.fixture
def store(base: Path) -> LocalStore:
    return LocalStore(base)


def test_processes_create_each_key_once(base: Path, store: LocalStore) -> None:
    names = ["one", "two", "three", "four"]
    won = dict(zip(names, race(base, "create", names), strict=True))
    assert sorted(number for numbers in won.values() for number in numbers.split()) == [str(n) for n in range(10)]
    for name, numbers in won.items():
        for number in numbers.split():
            assert store.read(f"race/{number}/a").body == name.encode()


def test_processes_lose_no_update(base: Path, store: LocalStore) -> None:
    store.create("counter", b"0")
    assert race(base, "count", ["50"] * 4) == ["50"] * 4
    assert store.read("counter").body == b"200"
    assert not unfinished(base)


def test_processes_create_where_others_remove_empty_directories(base: Path, store: LocalStore) -> None:
    names = ["one", "two", "three"]
    assert race(base, "churn", names) == ["fine"] * 3
    assert keys_below(store, "churn/") == sorted(f"churn/deep/er/{name}" for name in names)


def test_a_killed_writer_leaves_no_partial_object(base: Path, store: LocalStore) -> None:
    chance = random.Random(20)
    seen = 0
    for kill in range(20):
        worker = start(base, "write-forever", str(kill))
        go(worker)
        time.sleep(chance.uniform(0.0, 0.15))
        worker.kill()
        worker.communicate()
        assert worker.returncode == -signal.SIGKILL
        for stored in store.list("killed/"):
            seen += 1
            if stored.key.endswith("document"):
                body = store.read(stored.key).body
                assert len(body) == 300_000
                assert len(set(body)) == 1
                continue
            size = int(stored.key.rsplit("/", 1)[1])
            pieces: list[bytes] = []
            assert stored.size == store.fetch(stored.key, pieces.append).size == size
            assert b"".join(pieces) == b"".join(whole(size).chunks())
        store.delete([stored.key for stored in store.list("killed/") if chance.random() < 0.5])
    assert seen > 20
    store.put("killed/document", b"no lock is left held")
    left = unfinished(base)
    assert store.sweep_incoming(older_than=time.time() + 10) == len(left)
    assert not unfinished(base)


@pytest.mark.parametrize("verb", ["put", "replace", "delete"])
def test_what_changes_a_document_waits_for_its_lock(base: Path, store: LocalStore, verb: str) -> None:
    store.create("a", b"")
    version = store.read("a").version
    calls: dict[str, Callable[[], object]] = {
        "put": lambda: store.put("a", b"new"),
        "replace": lambda: store.replace("a", b"new", version),
        "delete": lambda: store.delete(["a"]),
    }
    with ThreadPoolExecutor(1) as pool:
        with Tree(base, os.fsync).locked((b"a",)):
            change = pool.submit(calls[verb])
            with pytest.raises(FutureTimeoutError):
                change.result(timeout=0.3)
            assert store.read("a").body == b""
        change.result(timeout=60)
    assert keys_below(store, "") == ([] if verb == "delete" else ["a"])
