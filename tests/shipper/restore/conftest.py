"""The node that most tests begin with, made once and copied for each."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.shipper.restore.world import World, copy_of, make_world


@pytest.fixture(scope="session")
def backed_up(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Backed up as monday, and moved on since. Not to be changed."""
    return make_world(tmp_path_factory.mktemp("template") / "node")


@pytest.fixture
def world(backed_up: World, tmp_path: Path) -> World:
    """The same, for one test; its bucket is everybody's."""
    return copy_of(backed_up, tmp_path / "node")
