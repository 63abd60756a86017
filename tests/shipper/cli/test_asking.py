"""Asking before data is deleted: only the name of the backup will do, and where nobody sits there is nobody to type it."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from backupstore.errors import Refused
from shipper.cli.asking import demand_name
from tests.shipper.cli.program import Program


@pytest.fixture
def configured(program: Program) -> Program:
    """A program with a cassandra.yaml beside it."""
    yaml = program.directory / "cassandra.yaml"
    yaml.write_text(
        "listen_address: 127.0.0.1\nrpc_address: 127.0.0.1\nnative_transport_port: 1\nstorage_port: 2\n"
        f"data_file_directories: [{program.directory}/data]\n"
    )
    return Program(program.directory, cassandra=(f"config_file = {yaml}",))


@contextmanager
def at_a_terminal(monkeypatch: pytest.MonkeyPatch, answer: str) -> Iterator[None]:
    """Somebody sits there and types this."""
    ours, theirs = os.openpty()
    os.write(ours, answer.encode())
    with os.fdopen(theirs, encoding="utf-8") as terminal:
        monkeypatch.setattr(sys, "stdin", terminal)
        yield
    os.close(ours)


@pytest.mark.parametrize("answer", ["monday\n", " monday \n", "monday\x04\x04"])
def test_the_name(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], answer: str) -> None:
    with at_a_terminal(monkeypatch, answer):
        demand_name("All is deleted.", "monday", said=False, operation="test")
    assert capsys.readouterr().err.startswith("All is deleted.\nType the name of the backup to begin: ")


@pytest.mark.parametrize("answer", ["\n", "y\n", "yes\n", "Monday\n", "monday2\n", "\x04"])
def test_anything_else(monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    with at_a_terminal(monkeypatch, answer), pytest.raises(Refused, match="not the name of the backup") as caught:
        demand_name("All is deleted.", "monday", said=False, operation="test")
    assert "type monday" in caught.value.hint


def test_said_before_nobody_is_asked(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("n\n"))
    demand_name("All is deleted.", "monday", said=True, operation="test")
    assert not capsys.readouterr().err


def test_stop_first_says_what_it_deletes_and_is_refused_where_nobody_can_be_asked(configured: Program) -> None:
    done = configured.run("restore-node", "--stop-first", "--backup-name", "monday")
    assert done.code == 1
    assert f"deletes all data in {configured.directory}/data before monday is fetched" in done.err
    assert "cannot be taken back" in done.err
    assert "Add -y" in done.err


@pytest.mark.parametrize("yes", ["-y", "--yes"])
def test_stop_first_with_a_yes_goes_on_to_the_checks(configured: Program, yes: str) -> None:
    done = configured.run("restore-node", "--stop-first", yes, "--backup-name", "monday")
    assert done.code == 1
    assert "There is no backup monday of n1" in done.err


def test_flags_that_contradict_each_other(configured: Program) -> None:
    done = configured.run("restore-node", "--remote", "--in-place", "--backup-name", "monday")
    assert (done.code, "--remote" in done.err) == (2, True)
    done = configured.run("restore-node", "--leave-job", "--backup-name", "monday")
    assert (done.code, "There is no backup monday" in done.err or "part of a job" in done.err) == (1, True)
