"""What a person sees: steps and warnings as log lines on stderr, a progress bar when stderr is a terminal, results on stdout."""

from __future__ import annotations

import io
import json
import os
import sys
from typing import TYPE_CHECKING

from backupstore.core.shown import harmless
from backupstore.core.sizes import human_size
from backupstore.ports import Clock
from shipper.cli.logs import log

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

_LINE_EVERY = 10.0


class Console:
    """``shipper.progress.Progress`` for people: a bar where it can be drawn, a line now and then where it cannot."""

    def __init__(self, clock: Clock, *, as_json: bool) -> None:
        self._clock = clock
        self._live = sys.stderr.isatty() and not as_json
        self._bar: Bar | None = None
        self._task: TaskID | None = None
        self._what = ""
        self._files = self._size = self._all_files = self._all_size = 0
        self._told = 0.0

    def step(self, text: str) -> None:
        """A new step."""
        log.info(text)

    def warn(self, text: str) -> None:
        """Something the operator should know."""
        log.warning(text)

    def begin(self, what: str, *, files: int, size: int) -> None:
        """A transfer begins."""
        self._what, self._all_files, self._all_size, self._files, self._size = what, files, size, 0, 0
        self._told = self._clock.running()
        log.info("%s: %s files, %s in all", what, f"{files:,}", human_size(size))
        if self._live:
            self._draw()

    def advance(self, *, files: int, size: int) -> None:
        """So many more files and bytes are done."""
        self._files += files
        self._size += size
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=self._size, done=self._done())
        elif self._clock.running() - self._told > _LINE_EVERY:
            self._told = self._clock.running()
            share = min(100, 100 * self._size // max(1, self._all_size))
            log.info("%s: %s, %s (%d%%)", self._what, self._files_done(), human_size(self._size), share)

    def end(self) -> None:
        """The transfer is over."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = self._task = None

    def _files_done(self) -> str:
        return f"{self._files:,} of {self._all_files:,} files"

    def _done(self) -> str:
        return f"{self._files_done()}, {human_size(min(self._size, self._all_size))} of {human_size(self._all_size)}"

    def _draw(self) -> None:
        from rich.console import Console as Terminal
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        terminal = Terminal(stderr=True)
        if terminal.is_dumb_terminal:
            return
        self._bar = Progress(
            BarColumn(bar_width=None),
            TextColumn("{task.fields[done]}"),
            TimeRemainingColumn(),
            console=terminal,
            transient=True,
            redirect_stdout=False,
        )
        self._task = self._bar.add_task(self._what, total=self._all_size, done=self._done())
        self._bar.start()


def accept_all_names() -> None:
    """Let no name of a backup fail to be printed: what the terminal's encoding lacks is escaped."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def discard_output() -> None:
    """Whoever read our output has gone: Python would complain at the end, when it writes out what is left."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def out(text: str) -> None:
    """A result, on stdout."""
    sys.stdout.write(harmless(text) + "\n")
    sys.stdout.flush()


def out_json(value: object) -> None:
    """A result as JSON, on stdout, as stock prints it."""
    out(json.dumps(value, ensure_ascii=False, sort_keys=True))
