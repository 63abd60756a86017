"""What every function on Google's cloud has: its log, as Cloud Logging reads it, and the time it is given."""

from __future__ import annotations

import json
import logging

import pytest

from backupstore.errors import Misconfigured, NotFound
from backupstore.google_function import JsonLines, counter, time_limit, work_topic


class Kept(logging.Handler):
    """Keeps the lines."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(JsonLines())
        self.lines: list[dict[str, object]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(json.loads(self.format(record)))


@pytest.fixture
def kept() -> Kept:
    return Kept()


@pytest.fixture
def logger(kept: Kept) -> logging.Logger:
    made = logging.Logger("tested", logging.INFO)  # noqa: LOG001 -- nobody else's
    made.addHandler(kept)
    return made


def test_a_line_has_its_severity_and_all_that_was_given(logger: logging.Logger, kept: Kept) -> None:
    logger.warning("%s is\nodd", "ä", extra={"hint": "look", "key": None, "strange": {1}})
    assert kept.lines == [
        {
            "severity": "WARNING",
            "message": "ä is\nodd",
            "logger": "tested",
            "hint": "look",
            "key": None,
            "strange": "{1}",
        }
    ]


def test_an_exception_is_shown_with_its_hint(logger: logging.Logger, kept: Kept) -> None:
    def fail() -> None:
        raise NotFound("nothing there", hint="list the backups")

    try:
        fail()
    except NotFound:
        logger.exception("failed")
    (line,) = kept.lines
    assert (line["error"], line["hint"]) == ("NotFound", "list the backups")
    assert str(line["message"]).startswith("failed\nTraceback")
    assert str(line["message"]).endswith("nothing there")


def test_numbers_are_lines_that_can_be_added_up(logger: logging.Logger, kept: Kept) -> None:
    counter(logger)("purged-bytes", 12)
    assert [(line["metric"], line["value"]) for line in kept.lines] == [("purged-bytes", 12)]


@pytest.mark.parametrize(
    ("text", "seconds"), [(None, 60.0), ("", 60.0), ("540", 540.0), ("0.5", 0.5), ("3600", 3600.0)]
)
def test_the_time_it_is_given(text: str | None, seconds: float) -> None:
    assert time_limit({} if text is None else {"FUNCTION_TIMEOUT_SEC": text}) == seconds


@pytest.mark.parametrize("text", ["soon", "0", "-1", "3601", "nan", "inf", "60s"])
def test_a_time_that_is_none_is_named(text: str) -> None:
    with pytest.raises(Misconfigured, match=f"FUNCTION_TIMEOUT_SEC = {text}"):
        time_limit({"FUNCTION_TIMEOUT_SEC": text})


def test_where_work_goes() -> None:
    assert work_topic({"WORK_QUEUE": "projects/p/topics/t"}) == "projects/p/topics/t"
    with pytest.raises(Misconfigured, match="WORK_QUEUE is not set") as caught:
        work_topic({})
    assert "projects/PROJECT/topics/TOPIC" in caught.value.hint
