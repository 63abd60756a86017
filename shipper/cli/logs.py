"""What goes to stderr, as lines for people or as JSON for log collectors, and into the log file of ``[logging]``.

Also the signals that end a command.

An error of ours travels in a record as ``extra={"error": error}``, so that its hint, operation and key end up where
each format has a place for them; a hint without an error as ``extra={"hint": …}``.
"""

from __future__ import annotations

import json
import logging
import signal
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import TextIO

from backupstore.core.shown import harmless
from backupstore.errors import BackupError, Misconfigured
from backupstore.settings import LoggingSettings
from shipper.cli.logfile import LogFile

log = logging.getLogger("medusa-shipper")

_STAMPED = "[%(asctime)s] %(levelname)s: %(message)s"
_PLAIN = "%(levelname)s: %(message)s"
_VERY = 2  # -vv
_INTERRUPTED = 130
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_came: set[int] = set()
_noted_only: list[bool] = []


class Stopped(BaseException):
    """SIGINT or SIGTERM: no error, and nothing that catches errors may hold it up. ``hint`` says how to go on."""

    hint = ""


def stop_on_signals() -> None:
    """End in order at the first signal, at once at the second one."""
    for number in _SIGNALS:
        signal.signal(number, _stop)


def _stop(came: int, _frame: FrameType | None) -> None:
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    _came.add(came)
    if not _noted_only:
        raise Stopped


@contextmanager
def only_noted() -> Iterator[None]:
    """Meanwhile the first signal interrupts nothing: ``keep_on`` tells of it.

    For what only takes short steps. Raised in the midst of one, a signal may tear what Python itself is about, such as the
    start of a thread or a wait taking its lock back, and what was torn fails later.
    """
    _noted_only.append(True)
    try:
        yield
    finally:
        _noted_only.pop()


def keep_on() -> None:
    """Raise Stopped when a signal has come.

    For what goes on after errors: a signal is raised wherever the program is just then, and a cleanup that fails for it
    puts an error of its own in its place.
    """
    if _came:
        raise Stopped


class EndedBySignals:
    """A signal is how what is inside ends, so that is no failure; nor is the error that came in the signal's place.

    A signal may tear what Python itself is about: a wait that was taking its lock back ends with a RuntimeError, and so does
    waiting for the end of a thread that was being started.
    """

    def __enter__(self) -> None:
        """Nothing to be done."""

    def __exit__(self, _kind: type[BaseException] | None, error: BaseException | None, _where: object) -> bool:
        """Whether it ended by a signal."""
        if isinstance(error, Exception) and _came:
            log.debug("a signal has come, and in its place: %s", error)
            return True
        return isinstance(error, Stopped)


@contextmanager
def resumable(hint: str) -> Iterator[None]:
    """Tell how to go on, should a signal end what is inside."""
    try:
        yield
    except Stopped as stopped:
        stopped.hint = hint
        raise


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What the options before a command, and the settings, say about what is logged."""

    as_json: bool
    timestamps: bool
    verbosity: int


def set_up(wishes: Wishes, file: LoggingSettings | None = None) -> None:
    """Send everything that is logged to stderr, and to the log file if it is wanted, in place of what was set up before.

    ``level`` of the file is about what we say; libraries get through there as they do on stderr.
    """
    verbosity, ours = wishes.verbosity, logging.INFO if wishes.verbosity == 0 else logging.DEBUG
    handler = _ToStderr()
    stamped = _STAMPED if wishes.timestamps else _PLAIN
    handler.setFormatter(_Json() if wishes.as_json else _Text(stamped, "%Y-%m-%d %H:%M:%S"))
    handler.addFilter(lambda record: record.levelno >= ours or record.name.partition(".")[0] != log.name)
    handlers: list[logging.Handler] = [handler]
    levels = [ours]
    if file is not None and file.enabled:
        log_file = LogFile(file, log)
        log_file.setFormatter(_Text(file.format))
        handlers.append(log_file)
        levels.append(log_file.level or 1)  # a logger takes NOTSET for its parent's level
    root = logging.getLogger()
    root.handlers[:] = handlers
    root.setLevel(logging.WARNING if verbosity < _VERY else logging.DEBUG)
    log.setLevel(min(levels))
    # The driver tells of every closed connection, watchdog of its own threads ending; what matters of it reaches the
    # operator as an error of ours.
    logging.getLogger("cassandra").setLevel(logging.ERROR if verbosity < _VERY else logging.DEBUG)
    logging.getLogger("watchdog").setLevel(logging.CRITICAL if verbosity < _VERY else logging.DEBUG)
    warnings.filterwarnings("ignore", category=RuntimeWarning, module="watchdog")


def tell(error: BackupError) -> int:
    """Say how a command failed; with -v also where. The exit code, which after a signal is that of the signal."""
    log.error("%s", _message(error), extra={"error": error})
    log.debug("raised here:", exc_info=error)
    return tell_interrupted() if _came else error.exit_code


def tell_defect(error: Exception) -> int:
    """Say that this is none of our errors. The exit code: of the signal, if it is what one has torn."""
    if _came:
        return tell_interrupted()
    hint = "Please report it with the lines above. Nothing in the bucket was harmed: it is safe to try again."
    log.error("this is a defect in medusa-shipper", exc_info=error, extra={"hint": hint})
    return 1


def tell_interrupted(hint: str = "") -> int:
    """Say that a signal has ended the command; the exit code."""
    log.warning("interrupted", extra={"hint": hint})
    return _INTERRUPTED


def _message(error: BackupError) -> str:
    problems = error.problems if isinstance(error, Misconfigured) else (error.message,)
    if len(problems) == 1:
        return problems[0]
    return "\n    ".join((f"{len(problems)} mistakes in the settings:", *problems))


def _error_of(record: logging.LogRecord) -> BackupError | None:
    error = getattr(record, "error", None)
    return error if isinstance(error, BackupError) else None


def _hint_of(record: logging.LogRecord) -> str:
    error = _error_of(record)
    return error.hint if error else str(getattr(record, "hint", ""))


class _ToStderr(logging.StreamHandler[TextIO]):
    """Asks for stderr with every line: a progress bar puts something in its place while it is drawn."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:
        return sys.stderr

    @stream.setter
    def stream(self, _: TextIO) -> None:
        """Not kept."""


class _Text(logging.Formatter):
    """A line; below it, what to do next."""

    def format(self, record: logging.LogRecord) -> str:
        text = harmless(super().format(record))
        hint = _hint_of(record)
        return f"{text}\n  → {hint}" if hint else text


class _Json(logging.Formatter):
    """One JSON object a line."""

    converter = staticmethod(time.gmtime)

    def format(self, record: logging.LogRecord) -> str:
        fields = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S") + f".{int(record.msecs):03}Z",
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        error = _error_of(record)
        if error:
            fields |= {"error": type(error).__name__, "operation": error.operation, "key": error.key}
        if error or hasattr(record, "hint"):
            fields["hint"] = _hint_of(record)
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        return json.dumps(fields, ensure_ascii=False)
