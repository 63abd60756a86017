"""A program in a directory of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.shipper.cli.program import Program


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """With an empty bucket."""
    made = Program(tmp_path)
    made.bucket.mkdir()
    return made
