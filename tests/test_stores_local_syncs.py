"""Syncs of a directory that are shared: never fewer than needed, and few."""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Callable

import pytest

from backupstore.stores.local_syncs import FolderSyncs


class Disk:
    """Counts syncs; each lasts until it is let go. A sync saves what was written before it began."""

    def __init__(self) -> None:
        self.let_go = threading.Semaphore(0)
        self.begun: list[int] = []
        self.written = 0
        self.saved = 0
        self.fails = 0

    def sync(self, handle: int) -> None:
        seen = self.written
        self.begun.append(handle)
        self.let_go.acquire()
        if self.fails:
            self.fails -= 1
            raise OSError(errno.EIO, "the disk is bad")
        self.saved = seen


def _until(is_true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not is_true():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def _waiting(syncs: FolderSyncs, name: str) -> int:
    gate = syncs._gates.get(name)
    return gate.users if gate else 0


class Writers:
    """Threads that each write something and sync the directory ``d``."""

    def __init__(self, disk: Disk, syncs: FolderSyncs) -> None:
        self.disk = disk
        self.syncs = syncs
        self.lost: list[int] = []
        self.errors: list[OSError] = []
        self.threads: list[threading.Thread] = []

    def begin(self) -> None:
        self.disk.written += 1
        mine, number = self.disk.written, len(self.threads)

        def run() -> None:
            try:
                self.syncs.sync("d", number)
            except OSError as error:
                self.errors.append(error)
                return
            if self.disk.saved < mine:
                self.lost.append(mine)

        self.threads.append(threading.Thread(target=run))
        self.threads[-1].start()
        _until(lambda: _waiting(self.syncs, "d") == len(self.threads))

    def end(self) -> None:
        for _ in self.threads:
            self.disk.let_go.release()
        for thread in self.threads:
            thread.join(30)
            assert not thread.is_alive()


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
def syncs(disk: Disk) -> FolderSyncs:
    return FolderSyncs(disk.sync)


@pytest.fixture
def writers(disk: Disk, syncs: FolderSyncs) -> Writers:
    return Writers(disk, syncs)


def test_eight_writers_need_two_syncs_and_none_of_them_is_told_too_early(disk: Disk, writers: Writers) -> None:
    writers.begin()
    _until(lambda: len(disk.begun) == 1)
    for _ in range(7):  # these wrote after the first sync began: it does not save them
        writers.begin()
    writers.end()
    assert writers.lost == []
    assert disk.saved == 8
    assert len(disk.begun) == 2


def test_one_after_the_other_each_has_a_sync_of_its_own(disk: Disk, syncs: FolderSyncs) -> None:
    for turn in range(3):
        disk.let_go.release()
        syncs.sync("d", turn)
    assert disk.begun == [0, 1, 2]


def test_two_directories_do_not_wait_for_each_other(disk: Disk, syncs: FolderSyncs, writers: Writers) -> None:
    writers.begin()
    _until(lambda: len(disk.begun) == 1)
    disk.let_go.release()
    disk.let_go.release()
    syncs.sync("another", 77)
    assert 77 in disk.begun
    writers.end()


def test_after_a_failed_sync_those_who_waited_try_themselves(disk: Disk, writers: Writers) -> None:
    disk.fails = 1
    writers.begin()
    _until(lambda: len(disk.begun) == 1)
    writers.begin()
    writers.begin()
    writers.end()
    assert len(writers.errors) == 1
    assert writers.lost == []
    assert disk.saved == 3
    assert len(disk.begun) == 2


def test_nothing_is_remembered_of_directories_that_nobody_writes_to(disk: Disk, syncs: FolderSyncs) -> None:
    disk.let_go.release()
    syncs.sync("d", 1)
    assert syncs._gates == {}
