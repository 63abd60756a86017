"""The node that most tests begin with, made once and copied for each; and where many of them lie."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.shipper.restore.world import World, copy_of, make_world


@pytest.fixture(scope="session")
def backed_up(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Backed up as monday, and moved on since. Not to be changed."""
    return make_world(tmp_path_factory.mktemp("template") / "node")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """In memory where that is possible: a thousand restores wait for the disk many thousand times."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path_factory.mktemp("nodes")
        return
    with tempfile.TemporaryDirectory(dir=memory, prefix="medusa-shipper-") as name:
        yield Path(name)


@pytest.fixture
def world(backed_up: World, tmp_path: Path) -> World:
    """The same, for one test; its bucket is everybody's."""
    return copy_of(backed_up, tmp_path / "node")
