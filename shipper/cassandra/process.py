"""Running other programs: the only module that does.

A program gets a list of arguments, never a shell; a session of its own, so that it can be killed with everything it
started; a time limit; and pipes that are always drained, of which the end is kept. What it was called with never
stands in an error: arguments carry passwords.

A start command may leave a daemon behind that still holds our pipes. We wait for the command, not for its pipes, and
go on draining them in the background, so that the daemon never blocks on a full one.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import IO

from backupstore.errors import NodeTrouble

_KEPT = 1 << 20
_PIECE = 1 << 16
_DRAIN_SECONDS = 2.0
_KILL_SECONDS = 5.0
_TAIL_LINES = 5
_TAIL_SIZE = 500


@dataclass(frozen=True, slots=True)
class Completed:
    """How a program ended. Of each stream the last mebibyte is kept."""

    returncode: int
    stdout: str
    stderr: str

    @property
    def tail(self) -> str:
        """The last lines that may say why it failed, as one."""
        lines = [line.strip() for line in (self.stderr.strip() or self.stdout.strip()).splitlines()]
        return " / ".join(line for line in lines[-_TAIL_LINES:] if line)[-_TAIL_SIZE:]


@dataclass(frozen=True, slots=True)
class Called:
    """How a program is spoken of in errors: by a name without secrets, and by the setting that chose it."""

    name: str
    setting: str


def run(argv: Sequence[str], *, timeout: float, called: Called | None = None, text: str = "") -> Completed:
    """Run a program to its end. Whatever it returns is returned; NodeTrouble when it cannot run or takes too long."""
    called = called or Called(PurePath(argv[0]).name if argv else "", "")
    process = _start(argv, called)
    out, err = _Tail(process.stdout), _Tail(process.stderr)
    _feed(process.stdin, text)
    try:
        process.wait(timeout)
    except subprocess.TimeoutExpired:
        _kill(process)
        raise _too_slow(called, timeout, process.poll() is None) from None
    finally:
        _kill(process)
    return Completed(process.returncode, out.text(), err.text())


def _start(argv: Sequence[str], called: Called) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            list(argv),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except (OSError, IndexError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else "") or "it is no command"
        where = f"{called.setting} in medusa.ini" if called.setting else "the command"
        raise NodeTrouble(
            f"'{called.name}' cannot be run: {reason}.",
            hint=f"Check {where}: the full path of a program that this user may execute.",
            operation="run",
        ) from error


def _feed(pipe: IO[bytes] | None, text: str) -> None:
    """Write what the program reads. From a thread, for it may write first; it may also not read at all."""
    if pipe is None:
        return

    def write(pipe: IO[bytes] = pipe) -> None:
        with contextlib.suppress(BrokenPipeError), pipe:
            pipe.write(text.encode())

    if text:
        threading.Thread(target=write, daemon=True).start()
    else:
        pipe.close()


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill the program and all it started, unless it has ended. What sudo started is not ours to kill: we give up."""
    if process.poll() is not None:
        return
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_KILL_SECONDS)


def _too_slow(called: Called, timeout: float, alive: bool) -> NodeTrouble:  # noqa: FBT001 - one private caller
    end = "could not be killed (it runs as another user)" if alive else "was killed"
    return NodeTrouble(
        f"'{called.name}' did not end within {timeout:g} seconds and {end}.",
        hint="Run the same command by hand: a node that swaps, collects garbage or waits for its disk answers late."
        " If it is only slow, raise the time limit in [shipper] of medusa-shipper.ini.",
        operation="run",
    )


class _Tail:
    """Drains a pipe to its end in a thread of its own and keeps the last part."""

    def __init__(self, pipe: IO[bytes] | None) -> None:
        self._kept = bytearray()
        self._thread = threading.Thread(target=self._drain, args=(pipe,), daemon=True)
        self._thread.start()

    def _drain(self, pipe: IO[bytes] | None) -> None:
        if pipe is None:
            return
        with pipe:
            while piece := os.read(pipe.fileno(), _PIECE):
                self._kept += piece
                del self._kept[:-_KEPT]

    def text(self) -> str:
        """What was kept, when the pipe has ended or somebody holds it open for too long."""
        self._thread.join(_DRAIN_SECONDS)
        return bytes(self._kept).decode("utf-8", errors="replace")


def find_program(name: str) -> str | None:
    """Where a program is, as running it would find it; None when it is nowhere."""
    return shutil.which(name)
