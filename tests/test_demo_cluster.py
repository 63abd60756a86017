"""The cluster's demo, as `make demo-cluster` runs it: what it says, and what the programs in the background said."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.cassandra, pytest.mark.xdist_group("demo-cluster"), pytest.mark.timeout(1200)]

ROOT = Path(__file__).resolve().parents[1]


def test_every_row_is_back_here_and_elsewhere(tmp_path: Path) -> None:
    demo = [sys.executable, "-m", "tests.demo_cluster", "--keep", str(tmp_path)]
    done = subprocess.run(demo, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("Every row is back.") == 2, "on the three nodes, and on three others"
    assert "DIFFERENT" not in done.stdout
    logs = [tmp_path / "operator" / "serve.log", *sorted(tmp_path.glob("agent-*/agent.log"))]
    assert len(logs) == 1 + 6
    for log in logs:
        said = log.read_text(encoding="utf-8")
        assert "ERROR" not in said, said
        assert "defect" not in said, said
