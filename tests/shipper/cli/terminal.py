"""The program on a terminal, as a person sits before it: what is drawn is read, and keys are typed."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.shipper.cli.program import Program

_DRAWING = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")


@dataclass
class OnTerminal:
    """A process whose input, output and errors are one terminal."""

    process: subprocess.Popen[bytes]
    master: int
    raw: bytearray = field(default_factory=bytearray)

    @property
    def seen(self) -> str:
        """Everything that was ever drawn, without the codes that move and colour it."""
        return _DRAWING.sub("", self.raw.decode("utf-8", "replace"))

    def until_seen(self, text: str, seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while text not in self.seen:
            assert time.monotonic() < end, self.seen
            assert self._read() or self.process.poll() is None, self.seen

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def ended(self, seconds: float = 60) -> int:
        """Its exit code, everything having been read."""
        end = time.monotonic() + seconds
        while self._read() or self.process.poll() is None:
            assert time.monotonic() < end, self.seen
        return self.process.wait()

    def _read(self) -> bool:
        if not select.select([self.master], [], [], 0.1)[0]:
            return False
        try:
            piece = os.read(self.master, 1 << 16)
        except OSError:  # the other side is closed
            return False
        self.raw += piece
        return bool(piece)


@contextmanager
def on_terminal(program: Program, *arguments: str, size: tuple[int, int] = (40, 140)) -> Iterator[OnTerminal]:
    """``size``: lines and columns. Killed at the end if need be."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
    # pytest's own terminal says nothing about this one.
    strange = ("MEDUSA_", "COLUMNS", "LINES")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(strange)}
    process = subprocess.Popen(
        # A session's first process gets the terminal that it opens, and with it the signals that are typed there.
        ["sh", "-c", 'exec "$@" <"$0" >"$0" 2>&1', os.ttyname(slave), *program.command(*arguments)],
        env={**environment, "TERM": "xterm-256color"},
        start_new_session=True,
    )
    os.close(slave)
    try:
        yield OnTerminal(process, master)
    finally:
        process.kill()
        process.wait()
        os.close(master)
