"""A large object, given to the sink in order, each byte once.

Alone, it comes by several ranges at once, each held until its turn: one connection is seldom as fast as the network.
Beside others it is streamed from the socket into the sink: they fill the network together, and bytes that are hashed and
written while they are still in the processor's cache cost half as much. Which one it is, is asked again all the time.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

from typing_extensions import Self

from backupstore.errors import Retryable
from backupstore.ports import Sink
from backupstore.stores.answers import changed_meanwhile
from backupstore.stores.http.client import Taker
from backupstore.stores.http.faults import BeyondEnd, Unmet, damaged_on_the_way
from backupstore.stores.http.head import Head
from backupstore.stores.http.memory import Share
from backupstore.stores.s3.client import Client
from backupstore.stores.s3.integrity import Expected
from backupstore.stores.s3.options import Storing
from backupstore.stores.s3.ranges import Range
from backupstore.stores.s3.reading import head_of

_STREAMED = 64 << 20  # then the question is asked again


class Crowd:
    """How many large downloads are on their way."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.size = 0

    def __enter__(self) -> Self:
        with self._lock:
            self.size += 1
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self.size -= 1


class Large:
    """One such object, of which the first range is there already."""

    def __init__(self, client: Client, storing: Storing, share: Share, crowd: Crowd) -> None:
        self._client = client
        self._storing = storing
        self._share = share
        self._crowd = crowd
        self._stop = threading.Event()

    def fetch(self, first: Range, sink: Sink) -> None:
        """Give all of the object to the sink, the first range too."""
        with self._crowd, ThreadPoolExecutor(self._storing.parts_at_once, thread_name_prefix="s3-range") as pool:
            try:
                self._fetch(first, sink, pool)
            finally:
                self._stop.set()
                pool.shutdown(wait=False, cancel_futures=True)

    def _fetch(self, first: Range, sink: Sink, pool: ThreadPoolExecutor) -> None:
        ahead: deque[Future[Range]] = deque()
        asked = self._go_ahead(first, first.stop, ahead, pool)
        expected = Expected(self._client.send(head_of("fetch", first.key, self._storing)).headers)
        self._give(first, sink, expected)
        while ahead or asked < first.total:
            if ahead:
                self._give(ahead.popleft().result(), sink, expected)
            else:
                stop = min(asked + _STREAMED, first.total)
                self._stream(Range(first.key, asked, stop, first.etag), sink, expected)
                asked = stop
            asked = self._go_ahead(first, asked, ahead, pool)
        if not expected.is_met():
            raise damaged_on_the_way("fetch", first.key)

    def _go_ahead(self, first: Range, asked: int, ahead: deque[Future[Range]], pool: ThreadPoolExecutor) -> int:
        """Ask for more ranges, as far as the others and memory allow. Returns up to where all is asked for."""
        most = self._storing.parts_at_once // self._crowd.size
        while most > 1 and len(ahead) < most and asked < first.total:
            stop = min(asked + self._storing.range_size, first.total)
            if not self._share.take_if_free(stop - asked):
                break
            ahead.append(pool.submit(self._hold, Range(first.key, asked, stop, first.etag)))
            asked = stop
        return asked

    def _hold(self, wanted: Range) -> Range:
        """Fetch a range into memory."""

        def taker(head: Head, pieces: Iterator[bytes]) -> None:
            wanted.begin(head)
            for piece in pieces:
                wanted.take(piece)
                if self._stop.is_set():
                    raise Retryable(f"fetch {wanted.key}: stopped", operation="fetch", key=wanted.key)

        return self._run(wanted, taker)

    def _stream(self, wanted: Range, sink: Sink, expected: Expected) -> None:
        """Fetch a range straight into the sink."""

        def taker(head: Head, pieces: Iterator[bytes]) -> None:
            wanted.begin(head)
            for piece in pieces:
                wanted.got += len(piece)
                expected.take((piece,))
                sink(piece)

        self._run(wanted, taker)

    def _run(self, wanted: Range, taker: Taker) -> Range:
        def attempt() -> Range:
            try:
                self._client.once(wanted.asks(self._storing), taker)
            except (Unmet, BeyondEnd) as error:
                raise changed_meanwhile(wanted.key) from error
            return wanted

        return self._client.run(attempt)

    def _give(self, done: Range, sink: Sink, expected: Expected) -> None:
        while done.pieces:
            piece = done.pieces.popleft()
            expected.take((piece,))
            sink(piece)
        self._share.give_back(done.got)
