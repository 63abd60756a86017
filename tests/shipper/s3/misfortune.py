"""Faults at random places between the program and its store, all of them from one seed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random

from tests.harness.faulty_proxy import Fault, FaultyProxy, refusal

LONG = 0.6
"""Seconds that an answer may be late; impatient stores give up well before."""

_ANSWERS = (
    refusal(500, "InternalError"),
    refusal(503, "SlowDown"),
    refusal(503, "ServiceUnavailable"),
    refusal(429, "TooManyRequests"),
    b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 4\r\n\r\noops",
)
_NONSENSE = (
    b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\nconnection: close\r\n\r\nnot all",
    b"HTTP/1.1 200 OK\r\nthis is no header\r\n\r\n",
)
_SMALL = 600  # where documents and most components still have bytes


class Misfortune:
    """Chooses what happens to each request. ``share``: of them that meet with something."""

    def __init__(self, seed: int, share: float) -> None:
        self._random = Random(seed)
        self._share = share
        self._met: list[tuple[str, Fault]] = []

    def __call__(self, method: str, target: str, headers: dict[str, str]) -> Fault | None:
        """``FaultyProxy.chance``."""
        del target
        if self._random.random() >= self._share:
            return None
        size = int(headers.get("content-length", 0))
        kinds = _UP_AND_DOWN if size else _TO_HEAD if method == "HEAD" else _DOWN
        kind = self._random.choice(sorted(kinds))
        fault = kinds[kind](self._random, size)
        self._met.append((kind, fault))
        return fault

    @property
    def struck(self) -> Counter[str]:
        """How often each kind really happened: an answer may have been shorter than the place in it."""
        return Counter(kind for kind, fault in self._met if fault.struck)


_TO_HEAD: dict[str, Callable[[Random, int], Fault]] = {
    "the request is lost": lambda _, __: Fault(lose_request=True),
    "the answer is lost": lambda _, __: Fault(lose_answer=True),
    "another answer is given": lambda random, _: Fault(answer=random.choice(_ANSWERS)),
    "it takes too long": lambda _, __: Fault(delay=LONG),
}
_DOWN: dict[str, Callable[[Random, int], Fault]] = {
    **_TO_HEAD,
    "the answer is cut": lambda random, _: Fault(cut_answer=random.choice((0, random.randrange(_SMALL)))),
    "a byte of the answer flips": lambda random, _: Fault(
        flip_answer=random.randrange(_SMALL), mask=1 << random.randrange(8)
    ),
    "nonsense is answered": lambda random, _: Fault(answer=random.choice(_NONSENSE)),
}
_UP_AND_DOWN: dict[str, Callable[[Random, int], Fault]] = {
    **_DOWN,
    "the request is cut": lambda random, size: Fault(cut_request=random.randrange(size)),
    "a byte of the request flips": lambda random, size: Fault(
        flip_request=random.randrange(size), mask=1 << random.randrange(8)
    ),
}


@contextmanager
def misfortunes(proxy: FaultyProxy, seed: int, share: float) -> Iterator[Misfortune]:
    """Let them happen to whatever goes through the proxy in the block."""
    proxy.chance = misfortune = Misfortune(seed, share)
    try:
        yield misfortune
    finally:
        proxy.chance = None
