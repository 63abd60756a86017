"""Real SIGKILLs: a process that ends at a random call, or at any moment at all, and the same command after it."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from random import Random

import pytest

from backupstore.core.documents import Mode
from tests.killing import Point, Trigger
from tests.shipper.backup.killed_run import open_world
from tests.shipper.backup.world import new_world

ROOT = Path(__file__).resolve().parents[3]


def run(base: Path, *arguments: str, patience: float = 60) -> int:
    """Start it; let it live for so long after it has begun."""
    command = [sys.executable, "-m", "tests.shipper.backup.killed_run", str(base), *arguments]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "begin\n"
        try:
            return process.wait(patience)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()


@pytest.mark.parametrize("mode", ["differential", "full"])
@pytest.mark.parametrize("how", ["at calls", "at moments"])
def test_killed_for_real_the_same_command_finishes(tmp_path: Path, mode: Mode, how: str) -> None:
    random = Random(f"{mode} {how}")
    base = tmp_path / "killed"
    world = new_world(base, "local")
    world.back_up("sunday")
    world.node.restart_generations()
    shutil.copytree(base, tmp_path / "calm")
    calm, counter = open_world(tmp_path / "calm"), Trigger()
    began = time.monotonic()
    calm.deadly(counter).back_up("monday", mode)
    seconds = time.monotonic() - began
    calm.check_backup("monday", calm.node.contents())

    kills = 0
    for _ in range(5):
        if how == "at calls":
            point = Point(random.randint(1, len(counter.calls)), random.choice(("before", "after")))
            code = run(base, mode, str(point))
        else:
            code = run(base, mode, patience=random.random() * seconds)
        kills += code == -signal.SIGKILL
        if code != -signal.SIGKILL:
            break
    assert kills

    world = open_world(base)
    if "finished" not in world.announced("monday") or world.node.snapshot_tags("medusa"):
        world.back_up("monday", mode)
    assert world.comparable() == calm.comparable()
    world.check_backup("monday", world.node.contents())
    world.check_tidy()
