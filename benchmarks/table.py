"""The table as text: columns as wide as they need to be, and below each missed goal why."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict

from benchmarks.rows import Line

_HEAD = ("row", "ours", "neighbour", "ratio", "goal", "")


def print_lines(lines: Sequence[Line]) -> None:
    """To stdout."""
    rows = [_HEAD, *(_cells(line) for line in lines)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    reasons = ["", *(line.why if not line.is_met else "" for line in lines)]
    for row, why in zip(rows, reasons, strict=True):
        text = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        sys.stdout.write(f"{text}\n")
        if why:
            sys.stdout.write(f"    because: {why}\n")
    missed = sum(1 for line in lines if not line.is_met)
    sys.stdout.write(f"{len(lines) - missed} of {len(lines)} lines meet their goal\n")


def _cells(line: Line) -> tuple[str, ...]:
    fields = asdict(line)
    verdict = "-" if line.goal == "-" else "ok" if line.is_met else "MISS"
    return (*(str(fields[name]) for name in ("row", "ours", "neighbour", "ratio", "goal")), verdict)
