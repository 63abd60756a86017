"""What every function on Google's cloud has: a log that Cloud Logging understands, and a time after which it is stopped."""

from __future__ import annotations

import json
import logging
import math
import sys
from collections.abc import Callable, Mapping

from backupstore.errors import Misconfigured

LIMIT = "FUNCTION_TIMEOUT_SEC"
"""The variable that says how long one call may last: the function's timeout, or the acknowledgement deadline if shorter."""

_DEFAULT_LIMIT = 60.0
_OF_EVERY_RECORD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime"}


class JsonLines(logging.Formatter):
    """One JSON object a line: ``severity``, ``message``, whatever was given as ``extra``, and what an exception says."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        extra = {name: value for name, value in record.__dict__.items() if name not in _OF_EVERY_RECORD}
        line = {"severity": record.levelname, "message": record.getMessage(), "logger": record.name, **extra}
        if record.exc_info and (error := record.exc_info[1]):
            line["message"] += f"\n{self.formatException(record.exc_info)}"
            line |= {"error": type(error).__name__, "hint": getattr(error, "hint", "")}
        return json.dumps(line, default=str)


def function_logger(name: str) -> logging.Logger:
    """The log of a function, on stderr. What libraries warn of is there as well."""
    root = logging.getLogger()
    if not any(isinstance(handler.formatter, JsonLines) for handler in root.handlers):
        lines = logging.StreamHandler(sys.stderr)
        lines.setFormatter(JsonLines())
        root.addHandler(lines)
    logger = logging.getLogger(name)
    logger.setLevel(logging.INFO)
    return logger


def counter(logger: logging.Logger) -> Callable[[str, float], None]:
    """Numbers as lines of the log (``metric``, ``value``), which log-based metrics of Cloud Monitoring add up."""

    def count(name: str, value: float) -> None:
        logger.info("%s: %g", name, value, extra={"metric": name, "value": value})

    return count


def time_limit(environ: Mapping[str, str]) -> float:
    """Seconds that one call may last. Misconfigured when the variable is no such number."""
    text = environ.get(LIMIT, "")
    try:
        seconds = float(text) if text else _DEFAULT_LIMIT
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= 3600:  # noqa: PLR2004 -- an hour, which is as long as any may last
        raise Misconfigured(
            (f"environment {LIMIT} = {text}: is no number of seconds from 1 to 3600",),
            hint="Set it to the timeout of the function, or to the acknowledgement deadline if that is shorter.",
        )
    return seconds


def work_topic(environ: Mapping[str, str]) -> str:
    """Where work goes, by ``WORK_QUEUE``. Misconfigured when nobody said."""
    topic = environ.get("WORK_QUEUE", "")
    if not topic:
        raise Misconfigured(
            ("WORK_QUEUE is not set.",),
            hint="Set it to the topic whose messages call this function: projects/PROJECT/topics/TOPIC.",
        )
    return topic
