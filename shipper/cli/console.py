"""What a person sees: steps and warnings as log lines on stderr, a progress bar when stderr is a terminal, results on stdout."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from shipper.cli.sizes import human_size

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

_log = logging.getLogger("medusa-shipper")
_LINE_EVERY = 10.0


class Console:
    """``shipper.progress.Progress`` for people, and the way results are printed."""

    def __init__(self, as_json: bool) -> None:
        self._live = sys.stderr.isatty() and not as_json
        self._bar: Bar | None = None
        self._task: TaskID | None = None
        self._what = ""
        self._files = self._size = self._all_files = self._all_size = 0
        self._told = 0.0

    # --- Progress ---
    def step(self, text: str) -> None:
        """A new step."""
        _log.info(text)

    def warn(self, text: str) -> None:
        """Something the operator should know."""
        _log.warning(text)

    def begin(self, what: str, *, files: int, size: int) -> None:
        """A transfer begins."""
        self._what, self._all_files, self._all_size, self._files, self._size = what, files, size, 0, 0
        self._told = time.monotonic()
        if self._live:
            self._draw()
        else:
            _log.info("%s %s files, %s", what, f"{files:,}", human_size(size))

    def advance(self, *, files: int, size: int) -> None:
        """So many more files and bytes are done."""
        self._files += files
        self._size += size
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=self._size, files=f"{self._files:,}/{self._all_files:,} files")
        elif time.monotonic() - self._told > _LINE_EVERY:
            self._told = time.monotonic()
            share = 100 * self._size // max(1, self._all_size)
            _log.info(
                "%s: %s of %s files, %s (%d%%)",
                self._what,
                f"{self._files:,}",
                f"{self._all_files:,}",
                human_size(self._size),
                share,
            )

    def end(self) -> None:
        """The transfer is over."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = self._task = None

    def _draw(self) -> None:
        from rich.console import Console as Terminal
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )

        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[files]}"))
        self._bar = Progress(
            *columns, DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn(), console=Terminal(stderr=True)
        )
        self._task = self._bar.add_task(self._what, total=self._all_size, files=f"0/{self._all_files:,} files")
        self._bar.start()


def out(text: str) -> None:
    """A result, on stdout."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def out_json(value: object) -> None:
    """A result as JSON, on stdout."""
    out(json.dumps(value, indent=None))


def complain(message: str, hint: str = "") -> None:
    """What went wrong and what to do next, on stderr."""
    sys.stderr.write(f"Error: {message}\n" + (f"  → {hint}\n" if hint else ""))


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields: Mapping[str, object] = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        return json.dumps(fields)


def json_formatter() -> logging.Formatter:
    """One JSON object a line, for log collectors."""
    return _Json()
