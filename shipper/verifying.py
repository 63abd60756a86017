"""Verify with many threads, one node each, that can be stopped at any moment: they only read."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from backupstore.core.layout import Layout
from backupstore.operations.verify import Verified, verify
from backupstore.operations.verify_node import Wanted
from backupstore.ports import ObjectStore


class _Stopped(Exception):
    """Ends a thread."""


def verify_in_threads(
    store: ObjectStore, layout: Layout, backups: Iterable[str], wanted: Wanted, *, workers: int
) -> tuple[Verified, ...]:
    """``verify`` with so many nodes at a time. When it is interrupted, the threads end at their next step."""
    stopping = threading.Event()

    def keep_on() -> None:
        wanted.keep_on()
        if stopping.is_set():
            raise _Stopped

    with ThreadPoolExecutor(workers, thread_name_prefix="verify") as pool:
        try:
            return verify(store, layout, backups, replace(wanted, keep_on=keep_on), pool.map)
        finally:
            stopping.set()
            pool.shutdown(wait=False, cancel_futures=True)
