"""A target: one way in for what others wrote, and what may come of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from backupstore.errors import BackupError

KEY = "p/n1/b/meta/some.json"
_LONGEST = 2000


@dataclass(frozen=True, slots=True)
class Target:
    """``run`` lets the parsers read some bytes, and asserts what must hold of what they made of them.

    ``covers``: these parsers. ``errors``: what they are documented to raise; anything else is a finding. ``seeds``: real
    examples, of which at least one is read without an error.
    """

    name: str
    run: Callable[[bytes], object]
    covers: tuple[Callable[..., Any], ...]
    seeds: tuple[bytes, ...]
    errors: tuple[type[Exception], ...] = ()

    def attempt(self, data: bytes) -> bool:
        """Whether it was read. An error of ours must fit into a log and on a terminal: short, on one line, printable."""
        try:
            self.run(data)
        except self.errors as error:
            if isinstance(error, BackupError):
                told = str(error)
                assert told.isprintable(), f"{self.name} tells what no terminal should be shown: {told[:200]!r}"
                assert 0 < len(told) < _LONGEST, f"{self.name} tells too much: {len(told)} characters"
            return False
        return True


def text_of(data: bytes) -> str:
    """Any text, halves of characters among it, as JSON can spell them."""
    return data.decode("utf-8", "surrogateescape")


def named(function: Callable[..., Any]) -> str:
    """How a target is called that is about one function."""
    return f"{function.__module__.rpartition('.')[2]}.{function.__qualname__}"
