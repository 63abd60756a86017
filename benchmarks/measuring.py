"""One run of a program: how long it took, what it cost, and how much memory it needed at its peak."""

from __future__ import annotations

import hashlib
import os
import statistics
import subprocess
import sys
import time
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import awscrt.checksums as crt  # type: ignore[import-untyped]  # awscrt ships no types

_TICKS = os.sysconf("SC_CLK_TCK")
_IDLE = (3, 4)  # idle and waiting for the disk, in /proc/stat

# The kernel counts what a process had before its exec to its peak: so it is begun by a small one, not by this.
_LAUNCHER = """
import os, sys
pid = os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ)
_, status, usage = os.wait4(pid, 0)
with open(sys.argv[1], "w") as out:
    print(usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, file=out)
sys.exit(min(255, abs(os.waitstatus_to_exitcode(status))))
"""


class Failed(Exception):
    """A contestant did not do what it was asked for."""


@dataclass(frozen=True, slots=True)
class Run:
    """Seconds of wall and of processor (the process and its children), MiB of the largest process.

    ``machine``: processor seconds of everything on this machine meanwhile, servers and strangers included.
    """

    wall: float
    cpu: float
    rss: float
    machine: float


def run(command: Sequence[str], *, log: Path, environment: Mapping[str, str] | None = None) -> Run:
    """Run a program to its end. Failed, with its last words, when that is not a good one."""
    os.sync()  # what the run before has left to be written is not on this one's account
    before, began = _machine(), time.perf_counter()
    usage = log.with_suffix(".usage")
    with log.open("wb") as output:
        process = subprocess.run(
            [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(usage), *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, **(environment or {})},
            check=False,
        )
    wall, after = time.perf_counter() - began, _machine()
    if process.returncode:
        raise Failed(f"{' '.join(command)} ended with {process.returncode}:\n{log.read_text(errors='replace')[-3000:]}")
    cpu, rss = map(float, usage.read_text().split())
    return Run(wall, cpu, rss, after - before)


def median(runs: Sequence[Run]) -> Run:
    """Each figure's own median; of memory the highest."""
    return Run(
        statistics.median(each.wall for each in runs),
        statistics.median(each.cpu for each in runs),
        max(each.rss for each in runs),
        statistics.median(each.machine for each in runs),
    )


def digest_cost() -> dict[str, float]:
    """Processor seconds per GiB of each digest that an upload takes, on this machine."""
    piece, count = os.urandom(1 << 20), 128
    sha = hashlib.sha256()
    costs = {}
    for name, work in (
        ("sha256", sha.update),
        ("CRC-32", zlib.crc32),
        ("CRC64NVME", lambda data: crt.crc64nvme(data, 0)),
    ):
        began = time.thread_time()
        for _ in range(count):
            work(piece)
        costs[name] = (time.thread_time() - began) * 1024 / count
    return costs


def _machine() -> float:
    fields = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return sum(value for place, value in enumerate(fields) if place not in _IDLE) / _TICKS
