"""The live table of a job on a screen of 80 columns: who it is and what he was told stands there whole."""

from __future__ import annotations

import re
from io import StringIO

import pytest
from rich.console import Console as Terminal
from rich.live import Live

from backupstore.core.job_documents import Assignment, Job, NodeJob, Request
from shipper.cli.jobs_following import Screen

NOW = 1_800_000_000.0
NODES = ("cassandra-1.dc1", "cassandra-2.dc1", "cassandra-3.dc1")
REQUEST = Request(
    job="restore-20270115080000-0a1b2c3d",
    kind="restore",
    backup="202701150200",
    by="me",
    created=NOW - 60,
    assignments=tuple(Assignment(target=node, sources=(node,), seed=True) for node in NODES),
)
WHY = "The object could not be read, because what lies there holds other bytes than those that were shipped"
JOB = Job(
    revision="r",
    job=REQUEST.job,
    kind="restore",
    backup=REQUEST.backup,
    phase="rolling-back",
    created=NOW - 60,
    since=NOW,
    nodes={
        NODES[0]: NodeJob(number=1, verb="prepare", outcome="failed", why=WHY),
        NODES[1]: NodeJob(number=1, verb="put-back", outcome="doing", step="fetching", bytes=5 << 30, of=10 << 30),
        NODES[2]: NodeJob(number=1, verb="put-back", outcome="refused", why="no"),
    },
)
PROGRESS = "50% of 10.00 GB"


def drawn(width: int) -> list[str]:
    """The lines on such a screen."""
    text = StringIO()
    terminal = Terminal(file=text, width=width, height=30, force_terminal=True, color_system=None)
    with Live(console=terminal, auto_refresh=False) as live:
        Screen(REQUEST, terminal, live).show(JOB, NOW)
    return [re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line).rstrip() for line in text.getvalue().splitlines()]


@pytest.mark.parametrize("width", [80, 100, 200])
def test_what_they_say_is_cut_first(width: int) -> None:
    lines = drawn(width)
    assert max(map(len, lines)) <= width
    rows = [line for line in lines if line.startswith("cassandra-")]
    assert [row.split()[:4] for row in rows[:3]] == [
        [NODES[2], NODES[2], "put-back", "refused"],
        [NODES[0], NODES[0], "prepare", "failed"],
        [NODES[1], NODES[1], "put-back", "doing"],
    ], "each in one line, and whole"
    assert PROGRESS in rows[2]
    assert (WHY in rows[1]) == (width == 200), "of which more stands above"
    assert ("…" in rows[1]) == (width != 200)
