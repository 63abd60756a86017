"""The progress of a transfer: a bar on a terminal, that log lines do not spoil; lines now and then anywhere else."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys

import pytest

from shipper.cli.console import Console
from tests.clocks import SettableClock

TRANSFER = """
import logging, time
from backupstore.clock import SystemClock
from shipper.cli import logs
from shipper.cli.console import Console
logs.set_up(logs.Wishes(as_json=False, timestamps=False, verbosity=0))
console = Console(SystemClock(), as_json=False)
console.begin("uploading", files=4, size=4096)
for _ in range(4):
    console.advance(files=1, size=1024)
    time.sleep(0.2)
    console.warn("something odd")
console.end()
console.step("done")
"""


def on_a_terminal(term: str) -> str:
    """What a terminal of that kind is sent on stderr."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": term, "COLUMNS": "100"}
    with subprocess.Popen([sys.executable, "-c", TRANSFER], stderr=theirs, env=environment) as process:
        os.close(theirs)
        said = b""
        while True:
            try:
                piece = os.read(ours, 4096)
            except OSError:  # the other end is closed
                break
            said += piece
        os.close(ours)
    assert process.returncode == 0
    return said.decode()


def test_a_bar_and_the_lines_above_it() -> None:
    said = on_a_terminal("xterm-256color")
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", said)
    assert "2 of 4 files, 2.00 KB of 4.00 KB" in plain
    assert "━" in plain
    lines = [line.strip() for line in re.split(r"[\r\n]+", plain)]
    assert lines.count("WARNING: something odd") == 4
    assert lines[-2:] == ["INFO: done", ""]


def test_a_terminal_that_cannot_draw() -> None:
    said = on_a_terminal("dumb")
    assert "━" not in said
    assert said.splitlines()[0] == "INFO: uploading: 4 files, 4.00 KB in all"


def test_lines_where_there_is_no_terminal(caplog: pytest.LogCaptureFixture) -> None:
    clock = SettableClock()
    console = Console(clock, as_json=True)
    with caplog.at_level("INFO", "medusa-shipper"):
        console.begin("uploading", files=1000, size=1 << 30)
        for _ in range(100):
            clock.advance(1)
            console.advance(files=10, size=(1 << 30) // 100)
        console.end()
    assert caplog.messages[0] == "uploading: 1,000 files, 1.00 GB in all"
    assert caplog.messages[1].startswith("uploading: 110 of 1,000 files, ")
    assert len(caplog.messages) == 10
