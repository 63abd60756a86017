"""What was repaired is said, with the names of the backups: by ``serve``, once or for good, and by ``build-index``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from backupstore.core.layout import Layout
from tests.shipper.cli.handmade import Made
from tests.shipper.cli.program import Program, until
from tests.shipper.serve.served import states

NO_EVENTS = ("watch = poll", "poll_interval = 3600")


@pytest.fixture
def program(tmp_path: Path) -> Program:
    made = Program(tmp_path, shipper=("reconcile_interval = 1", "verify_interval = 0", *NO_EVENTS))
    made.bucket.mkdir()
    for name in ("b1", "b2"):
        made.maker().ship(name, Made("n1", ring={"n1": "dc1"}))
    return made


def test_once_says_what_it_repaired_and_then_nothing(program: Program) -> None:
    done = program.run("serve", "--once")
    assert done.code == 0, done.err
    assert "reconcile of the cluster repaired " in done.err
    assert " objects: b1, b2" in done.err
    again = program.run("serve", "--once")
    assert again.code == 0
    assert "repaired" not in again.err


def test_a_running_server_finds_what_no_event_tells_of(program: Program) -> None:
    """A folder that is deleted by hand, which no event ever tells."""
    with program.running("serve") as server:
        until(lambda: set(states(program)) == {"b1", "b2"}, 60, server.log.read_text)
        program.store.delete([stored.key for stored in program.store.list(Layout().backup("n1", "b1"))])
        until(lambda: set(states(program)) == {"b2"}, 60, server.log.read_text)
        server.until_said("objects: b1\n", 60)
    head = json.loads((program.bucket / Layout().head()).read_bytes())
    assert head["looked"] > 0


def test_build_index_says_it_too(program: Program) -> None:
    first = program.run("build-index")
    assert "Repaired: b1, b2" in first.out.splitlines()
    assert "Repaired" not in program.run("build-index").out
