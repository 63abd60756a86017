"""A world for each kind of store; most stories hold for both."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.shipper.backup.world import StoreKind, World, new_world


@pytest.fixture(params=["memory", "local"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    kind: StoreKind = request.param
    return new_world(tmp_path, kind)


@pytest.fixture
def memory_world(tmp_path: Path) -> World:
    return new_world(tmp_path)
