"""Checks are run one after the other, and none of them, whatever becomes of it, stops the others."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator

import pytest

from backupstore.errors import Denied
from shipper.doctor.findings import Check, Finding, Report, Status, examine, fail, ok, unchecked, warn

AREAS = ("a", "b")


def good() -> Iterable[Report]:
    return [ok("fine")]


def forbidden() -> Iterator[Report]:
    yield ok("so far")
    raise Denied("you may not", hint="ask the owner")


def broken() -> Iterable[Report]:
    raise OSError(5, "Input/output error", "/mnt/backups")


def run(*checks: Check, areas: Iterable[str] = AREAS, seconds: float = 60) -> list[Finding]:
    return list(examine(checks, areas, seconds))


def test_an_error_is_a_failure_with_its_hint_and_what_was_seen_before() -> None:
    assert run(Check("a/1", forbidden), Check("a/2", good)) == [
        Finding("a/1", Status.OK, "so far"),
        Finding("a/1", Status.FAIL, "you may not", "ask the owner"),
        Finding("a/2", Status.OK, "fine"),
    ]


def test_an_error_of_the_system_names_its_file() -> None:
    (found,) = run(Check("a/1", broken))
    assert (found.status, found.seen) == (Status.FAIL, "/mnt/backups: Input/output error")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_defect_in_a_check_is_a_failure_too() -> None:
    found = run(Check("a/1", lambda: [ok(str(1 // 0))]), Check("a/2", good))
    assert [(each.check, each.status) for each in found] == [("a/1", Status.FAIL), ("a/2", Status.OK)]
    assert "defect" in found[0].seen


def test_one_that_hangs_is_left_behind() -> None:
    gate = threading.Event()

    def hangs() -> Iterable[Report]:
        gate.wait()
        return [ok("too late")]

    found = run(Check("a/1", hangs), Check("a/2", good), Check("a/3", good, ("a/1",)), seconds=0.2)
    gate.set()
    assert [each.status for each in found] == [Status.FAIL, Status.OK, Status.UNCHECKED]
    assert found[0].seen == "no answer within 0.2 seconds"


@pytest.mark.parametrize(
    ("report", "then"),
    [
        (ok("x"), Status.OK),
        (warn("x", "y"), Status.OK),
        (fail("x", "y"), Status.UNCHECKED),
        (unchecked("x"), Status.UNCHECKED),
    ],
)
def test_what_needs_something_else_is_looked_at_only_when_that_is_good(report: Report, then: Status) -> None:
    found = run(Check("a/1", lambda: [report]), Check("a/2", good, ("a/1",)), Check("a/3", good, ("a/2",)))
    assert [each.status for each in found[1:]] == [then, then]


def test_it_is_told_what_has_to_be_good_first_or_why_nobody_looked_there() -> None:
    why = unchecked("nobody may", "ask root")
    checks = [
        Check("a/1", lambda: [ok("x"), fail("y", "z")]),
        Check("a/2", good, ("a/1",)),
        Check("a/3", good, ("a/2",)),
    ]
    others = [Check("b/1", lambda: [why]), Check("b/2", good, ("b/1",)), Check("b/3", good, ("b/2", "a/1"))]
    found = {each.check: (each.seen, each.todo) for each in run(*checks, *others)}
    assert found["a/2"] == found["a/3"] == ("not checked: a/1 has to be good first", "")
    assert found["b/2"] == found["b/3"] == ("not checked: nobody may", "ask root")


@pytest.mark.parametrize(
    ("areas", "expected"), [(["a"], ["a/1", "a/2"]), (["b"], ["a/1", "b/1"]), (["a", "b"], ["a/1", "a/2", "b/1"])]
)
def test_only_some_areas_with_what_they_need(areas: list[str], expected: list[str]) -> None:
    checks = (Check("a/1", good), Check("a/2", good), Check("b/1", good, ("a/1",)))
    assert [each.check for each in run(*checks, areas=areas)] == expected


def test_a_check_that_is_never_asked_does_nothing() -> None:
    asked: list[str] = []

    def note(name: str) -> Callable[[], Iterable[Report]]:
        def run() -> Iterable[Report]:
            asked.append(name)
            return good()

        return run

    run(Check("a/1", note("a/1")), Check("b/1", note("b/1")), areas=["a"])
    assert asked == ["a/1"]
