"""The agent as a process: ended by SIGKILL or SIGTERM in the middle of a command, it goes on with it when it is started again."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from backupstore.core.job_documents import Verb
from tests.shipper.agent.world import AgentWorld
from tests.shipper.cli.program import until

ROOT = Path(__file__).resolve().parents[3]
ARGUMENTS = {
    "prepare": {"backup": "b1", "sources": ["10.0.0.1"], "targets": ["10.0.0.1"]},
    "backup": {"backup": "b1"},
}


@contextmanager
def running(world: AgentWorld) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "tests.shipper.agent.killed_agent", str(world.base)]
    with (world.base / "log").open("ab") as log, subprocess.Popen(command, cwd=ROOT, stderr=log) as process:
        try:
            yield process
        finally:
            process.kill()


def noted(world: AgentWorld) -> list[str]:
    log = world.base / "verbs.log"
    return log.read_text().splitlines() if log.exists() else []


def commanded(world: AgentWorld, verb: Verb) -> None:
    now = time.time()
    given = {"arguments": ARGUMENTS[verb]} if verb in ARGUMENTS else {}
    world.coordinator.command(verb, 1, issued=now, expires=now + 3600, **given)


@pytest.mark.parametrize(("verb", "times"), [("prepare", 1), ("place", 3), ("backup", 2)])
def test_killed_in_the_middle_it_goes_on(world: AgentWorld, verb: Verb, times: int) -> None:
    commanded(world, verb)
    for number in range(1, times + 1):
        with running(world) as agent:
            until(lambda number=number: noted(world) == [f"{verb} begins"] * number)  # type: ignore[misc]
            agent.kill()
            assert agent.wait(30) == -signal.SIGKILL
    (world.base / "go-on").touch()
    with running(world):
        until(lambda: world.coordinator.outcomes() == [(1, "doing"), (1, "done")])
        until(lambda: '"answered": true' in (world.state.path / "agent.json").read_text())
    assert noted(world) == [f"{verb} begins"] * (times + 1) + [f"{verb} ends"]
    if verb == "backup":
        assert world.backups() == ["b1"]
        assert world.node.snapshot_tags("") == ()


def test_told_to_end_it_leaves_what_takes_long_and_goes_on_later(world: AgentWorld) -> None:
    commanded(world, "prepare")
    with running(world) as agent:
        until(lambda: noted(world) == ["prepare begins"])
        agent.terminate()
        assert agent.wait(30) == 0
    assert "prepare of" in (world.base / "log").read_text()
    assert world.coordinator.outcomes() == [(1, "doing")]
    (world.base / "go-on").touch()
    with running(world):
        until(lambda: world.coordinator.outcomes() == [(1, "doing"), (1, "done")])
    assert noted(world) == ["prepare begins", "prepare begins", "prepare ends"]


def test_told_to_end_it_finishes_what_moves_the_nodes_data(world: AgentWorld) -> None:
    commanded(world, "place")
    with running(world) as agent:
        until(lambda: noted(world) == ["place begins"])
        agent.terminate()
        with pytest.raises(subprocess.TimeoutExpired):
            agent.wait(0.5)
        (world.base / "go-on").touch()
        assert agent.wait(30) == 0
    assert world.coordinator.outcomes() == [(1, "doing"), (1, "done")]
    assert noted(world) == ["place begins", "place ends"]


def test_what_was_done_and_not_told_is_told_by_the_next_start(world: AgentWorld) -> None:
    commanded(world, "place")
    states = world.base / "bucket" / world.layout.job_states(world.coordinator.job, "10.0.0.1")
    with running(world) as agent:
        until(lambda: noted(world) == ["place begins"])
        states.parent.rename(states.parent.with_name("away"))
        states.parent.write_text("no directory")
        (world.base / "go-on").touch()
        until(lambda: "cannot be told yet" in (world.base / "log").read_text())
        agent.kill()
    states.parent.unlink()
    states.parent.with_name("away").rename(states.parent)
    with running(world):
        until(lambda: world.coordinator.outcomes() == [(1, "doing"), (1, "done")])
