"""The command that examines this machine and its bucket."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence

from backupstore.chance import random_text
from backupstore.errors import Misconfigured
from backupstore.settings import DEFAULT_FILE, load
from backupstore.wiring import open_store
from shipper.cli.console import out, out_json
from shipper.cli.options import Globals
from shipper.doctor.case import Case
from shipper.doctor.checks import AREAS, all_checks
from shipper.doctor.findings import Finding, Status, examine

_LABELS = {Status.OK: "OK", Status.WARN: "WARN", Status.FAIL: "FAIL", Status.UNCHECKED: "?"}


def run_doctor(chosen: Globals, *, only: Sequence[str], read_only: bool, seconds: int, output: str) -> bool:
    """``doctor``. Whether nothing has failed."""
    found = _findings(chosen, only or AREAS, read_only=read_only, seconds=seconds)
    seen = list(_told(found) if output == "text" else found)
    if output == "json":
        out_json(
            {
                "ok": _is_good(seen),
                "findings": [
                    {"check": one.check, "status": one.status.value, "seen": one.seen, "todo": one.todo} for one in seen
                ],
            }
        )
    return _is_good(seen)


def _findings(chosen: Globals, areas: Iterable[str], *, read_only: bool, seconds: int) -> Iterator[Finding]:
    path = str(chosen.config_file or DEFAULT_FILE)
    try:
        loaded = load(chosen.config_file, os.environ, chosen.overrides)
        store = open_store(loaded.settings, patient=False)
    except Misconfigured as error:
        for problem in error.problems:
            yield Finding("settings/file", Status.FAIL, problem, error.hint)
        yield Finding("everything else", Status.UNCHECKED, "not checked: the settings have to be good first")
        return
    case = Case(loaded.settings, store, chosen.clock, read_only, float(seconds))
    yield from examine(all_checks(case, loaded, path, random_text()), areas, case.seconds)


def _told(found: Iterable[Finding]) -> Iterator[Finding]:
    """Say each as it comes: at 3 a.m. one wants to see where it hangs."""
    counts = dict.fromkeys(Status, 0)
    for finding in found:
        counts[finding.status] += 1
        out(f"{_LABELS[finding.status]:<4}  {finding.check}: {finding.seen}")
        if finding.todo and finding.status is not Status.OK:
            out(f"      → {finding.todo}")
        yield finding
    out(", ".join(f"{count} {status.value}" for status, count in counts.items()))


def _is_good(seen: Iterable[Finding]) -> bool:
    return all(finding.status is not Status.FAIL for finding in seen)
