"""What a check finds, and how checks are run: each in a thread of its own, for a limited time, none stopping the others."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from backupstore.errors import BackupError

_LOOK = "Look at the network, at dmesg and at 'mount'."


class Status(Enum):
    """How it is. ``UNCHECKED`` is never good news: nobody looked, and ``seen`` says why."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    UNCHECKED = "not checked"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: what was looked at, what was seen, and what to do about it where it is not good."""

    check: str
    status: Status
    seen: str
    todo: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """What a check says of its subject; ``Finding`` adds the check's name."""

    status: Status
    seen: str
    todo: str = ""


def ok(seen: str) -> Report:
    """All is well."""
    return Report(Status.OK, seen)


def warn(seen: str, todo: str) -> Report:
    """It works, and somebody should know."""
    return Report(Status.WARN, seen, todo)


def fail(seen: str, todo: str) -> Report:
    """Backups or restores will fail, or are not safe."""
    return Report(Status.FAIL, seen, todo)


def unchecked(why: str, todo: str = "") -> Report:
    """Nobody knows."""
    return Report(Status.UNCHECKED, f"not checked: {why}", todo)


@dataclass(frozen=True, slots=True)
class Check:
    """``name`` is ``area/what``; ``needs`` names checks without which there is nothing to look at, and is handed down."""

    name: str
    run: Callable[[], Iterable[Report]]
    needs: tuple[str, ...] = ()

    @property
    def area(self) -> str:
        """The first half of the name."""
        return self.name.partition("/")[0]


def examine(checks: Sequence[Check], areas: Iterable[str], seconds: float) -> Iterator[Finding]:
    """Run the checks of these areas, and what they need, in their order. One that hangs is left behind after ``seconds``."""
    by_name = {check.name: check for check in checks}
    wanted = _with_needs(by_name, [check.name for check in checks if check.area in set(areas)])
    lost: dict[str, Report] = {}
    for check in checks:
        if check.name not in wanted:
            continue
        missing = [lost[name] for name in check.needs if name in lost]
        found = missing[:1] or _run(check, seconds)
        if (reason := _lost(check.name, found)) is not None:
            lost[check.name] = reason
        yield from (Finding(check.name, report.status, report.seen, report.todo) for report in found)


def _lost(name: str, found: Iterable[Report]) -> Report | None:
    """What those say that need this check: that it failed, or else why nobody has looked. None where it is good."""
    bad = {report.status: report for report in found if report.status in {Status.FAIL, Status.UNCHECKED}}
    return unchecked(f"{name} has to be good first") if Status.FAIL in bad else bad.get(Status.UNCHECKED)


def _with_needs(by_name: Mapping[str, Check], names: Iterable[str]) -> set[str]:
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += by_name[name].needs
    return found


def _run(check: Check, seconds: float) -> list[Report]:
    answers: queue.SimpleQueue[list[Report]] = queue.SimpleQueue()

    def run() -> None:
        seen: list[Report] = []
        found = [fail("this check itself failed: a defect in medusa-shipper", "Report it with the lines on stderr.")]
        try:
            seen += check.run()
            found = seen
        except BackupError as error:
            found = [*seen, fail(error.message, error.hint)]
        except OSError as error:
            found = [*seen, fail(f"{error.filename or 'the system'}: {error.strerror or error}", _LOOK)]
        finally:
            answers.put(found)

    thread = threading.Thread(target=run, name=check.name, daemon=True)
    thread.start()
    try:
        found = answers.get(timeout=seconds)
    except queue.Empty:
        return [fail(f"no answer within {seconds:g} seconds", f"Something hangs. {_LOOK}")]
    thread.join()  # a defect is told on stderr before it is here
    return found
