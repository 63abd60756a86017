"""A directory bucket in the tests: what lies in it, and processes that work on it at the same time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def start(base: Path, work: str, argument: str) -> subprocess.Popen[str]:
    """A process that is ready to do that work and waits for ``go``."""
    command = [sys.executable, "-m", "tests.conformance.local_worker", str(base), work, argument]
    worker = subprocess.Popen(command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert worker.stdout
    assert worker.stdout.readline() == "ready\n"
    return worker


def go(worker: subprocess.Popen[str]) -> None:
    assert worker.stdin
    worker.stdin.write("go\n")
    worker.stdin.flush()


def race(base: Path, work: str, arguments: list[str]) -> list[str]:
    """Let processes do their work at the same time; what each printed."""
    workers = [start(base, work, argument) for argument in arguments]
    for worker in workers:
        go(worker)
    answers = [worker.communicate(timeout=300)[0].strip() for worker in workers]
    assert [worker.returncode for worker in workers] == [0] * len(workers)
    return answers


def files(base: Path) -> set[str]:
    return {path.relative_to(base).as_posix() for path in base.rglob("*") if path.is_file()}


def unfinished(base: Path) -> set[str]:
    return {name for name in files(base) if name.startswith("index/.incoming/") and name.endswith(".part")}
