"""An agent's node, bucket and coordinator in a directory of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.shipper.agent.world import AgentWorld, make_world


@pytest.fixture
def world(tmp_path: Path) -> AgentWorld:
    return make_world(tmp_path)
