"""What goes to stderr: for people, or one JSON object a line; more of it with -v."""

from __future__ import annotations

import re

import pytest

from tests.shipper.cli.program import Program

UNKNOWN = ("status", "--backup-name", "b1")


def test_lines_for_people_carry_the_time(program: Program) -> None:
    done = program.run(*UNKNOWN)
    error = next(line for line in done.err.splitlines() if "ERROR" in line)
    assert re.fullmatch(r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\] ERROR: There is no backup b1\.", error)
    assert "  → list-backups --show-all shows what there is." in done.err


def test_lines_without_the_time(program: Program) -> None:
    done = program.run("--without-log-timestamp", *UNKNOWN)
    assert "\nERROR: There is no backup b1.\n" in done.err


@pytest.mark.parametrize("by_environment", [False, True])
def test_json_carries_what_an_error_knows(program: Program, *, by_environment: bool) -> None:
    environment = {"MEDUSA_SHIPPER_LOG_FORMAT": "json"} if by_environment else {}
    shipper = () if by_environment else ("log_format = json",)
    done = Program(program.directory, shipper=shipper, environment=environment).run(*UNKNOWN)
    warning, error = done.logged
    assert warning["level"] == "WARNING"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", error.pop("time"))
    assert error == {
        "level": "ERROR",
        "logger": "medusa-shipper",
        "message": "There is no backup b1.",
        "error": "NotFound",
        "operation": "status",
        "key": "b1",
        "hint": "list-backups --show-all shows what there is.",
    }


def test_mistakes_in_the_settings_as_json(program: Program) -> None:
    bad = Program(program.directory, environment={"MEDUSA_SHIPPER_LOG_FORMAT": "json", "MEDUSA_SHIPPER_WATCH": "no"})
    (error,) = bad.run("list-backups").logged
    assert error["operation"] == "settings"
    assert "MEDUSA_SHIPPER_WATCH" in error["message"]


def test_verbose_tells_where_things_are(program: Program) -> None:
    quiet, verbose = program.run("list-backups").err, program.run("-v", "list-backups").err
    assert "DEBUG" not in quiet
    assert str(program.ini) in verbose
    assert "Traceback" in program.run("-v", *UNKNOWN).err, "for whoever is asked to look into it"
    assert "Traceback" not in program.run(*UNKNOWN).err
