"""docs/scale.md says what is counted; and what small counts foretell of larger clusters is so."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.scale import requests
from tests.scale.costs import cost_table, counted, request_table

_PAGE = (Path(__file__).resolve().parents[2] / "docs" / "scale.md").read_text()


def rows_of(text: str, first: str) -> list[list[str]]:
    """The table whose first head is that."""
    lines = text.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(f"| {first} |"))
    found = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        found.append([cell.strip() for cell in line.strip("|").split("|")])
    return found


@pytest.mark.parametrize(("first", "made"), [("Work", request_table), ("A month, in dollars", cost_table)])
def test_the_page_has_the_table_that_is_counted(first: str, made: object) -> None:
    table = made()  # type: ignore[operator] # one of these
    assert rows_of(_PAGE, first) == rows_of(table, first), "python -m tests.scale costs prints what belongs there"


@pytest.mark.parametrize(("nodes", "backups"), [(3, 2), (7, 5)])
def test_what_is_foretold_is_what_is_counted(nodes: int, backups: int) -> None:
    assert counted().reconcile(nodes, backups) == requests.reconciled(nodes, backups)
    assert counted().purge(nodes, backups) == requests.purged(nodes, backups)


def test_more_backups_in_one_round_ask_for_no_more_than_one_by_one() -> None:
    one, four = requests.verified(1), requests.verified(4)
    assert all(many <= 4 * single for many, single in zip(four, one, strict=True))


def test_a_backup_asks_for_its_files_and_what_is_always_the_same(tmp_path: Path) -> None:
    (tmp_path / "small").mkdir()
    asked, files = requests.backup(tmp_path / "small", "differential", again=True)
    assert files == 0
    assert asked == counted().differential
