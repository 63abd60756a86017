"""What others wrote into a bucket is shown, and tells no terminal what to do."""

from __future__ import annotations

import json
import logging

import pytest

from shipper.cli.console import out, out_json
from shipper.cli.logs import _Text

TOLD = "a\x1b[2Jb\x9b31m\rc\x07 \x7f日é"
SHOWN = "a\\u001b[2Jb\\u009b31m\\u000dc\\u0007 \\u007f日é"


def test_a_line_obeys_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    out(f"{TOLD}\n\tmore")
    assert capsys.readouterr().out == f"{SHOWN}\n\tmore\n"


def test_json_stays_what_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    out_json({TOLD: [TOLD]})
    shown = capsys.readouterr().out
    assert json.loads(shown) == {TOLD: [TOLD]}
    assert shown.removesuffix("\n").isprintable()


def test_a_message_obeys_nobody() -> None:
    record = logging.makeLogRecord({"msg": "the bucket says %s", "args": (TOLD,), "levelno": logging.ERROR})
    assert _Text("%(message)s").format(record) == f"the bucket says {SHOWN}"
