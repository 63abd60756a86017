"""The threat model says for each threat what it can do, what it cannot, why, and which tests show that; and they exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROWS = ["can", "cannot", "because", "shown by"]
WANTED = {
    "stolen node",
    "stolen indexer, verify or report function",
    "stolen purge function",
    "stolen coordinator",
    "hostile object",
    "replayed command",
    "curious neighbour under another prefix",
    "stolen operator credential",
    "lost signing key",
    "eavesdropper",
}


def threats() -> dict[str, dict[str, str]]:
    """The rows of each threat, by its heading."""
    text = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    part = text.partition("\n## Threats\n")[2].partition("\n## ")[0]
    sections = re.split(r"^### ", part, flags=re.MULTILINE)[1:]
    return {
        section.partition("\n")[0]: dict(
            re.findall(r"^\| (can|cannot|because|shown by) \| (.+) \|$", section, re.MULTILINE)
        )
        for section in sections
    }


def is_there(name: str) -> bool:
    """Whether there is such a test, or a file with any; in a class or not."""
    file, _, test = name.partition("::")
    path = ROOT / file
    if not path.is_file():
        return False
    tree = ast.parse(path.read_text(encoding="utf-8"))
    tests = {
        node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }
    return test in tests if test else bool(tests)


def test_every_threat_is_there() -> None:
    for wanted in WANTED:
        assert any(wanted in name for name in threats()), wanted
    assert len(threats()) == len(WANTED)


@pytest.mark.parametrize("name", threats())
def test_a_threat_is_whole_and_its_tests_exist(name: str) -> None:
    rows = threats()[name]
    assert list(rows) == ROWS
    shown = re.findall(r"`(tests/[^`]+)`", rows["shown by"])
    assert shown
    assert [test for test in shown if not is_there(test)] == []
    assert re.sub(r"`tests/[^`]+`|, ", "", rows["shown by"]) == "", "nothing but tests"


def test_a_test_that_is_not_there_is_found() -> None:
    assert not is_there("tests/test_security_document.py::test_nothing")
    assert not is_there("tests/test_nothing.py")
    assert is_there("tests/test_security_document.py::test_every_threat_is_there")
