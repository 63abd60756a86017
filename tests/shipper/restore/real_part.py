"""A part of a job on a real node, also as a program that can be killed.

python -m tests.shipper.restore.real_part <folder> <bucket> stop b1 --die 3:before:disk.rename.aside
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from shipper.progress import Silent
from shipper.restore.phases import Request
from tests.killing import Point, Trigger, killing, suicide
from tests.shipper.restore.dying import dying
from tests.shipper.restore.part import JOB, act
from tests.shipper.restore.real import Wired


def obey(wired: Wired, verb: str, backup: str, job: str = JOB, **options: object) -> None:
    """In this process."""
    request = Request(backup, job=job, **options)  # type: ignore[arg-type]  # what the test says
    act(wired.site(), wired.machine(), verb, request, Silent())


def die(wired: Wired, verb: str, backup: str, at: Point, job: str = JOB) -> None:
    """In another process, which is killed there."""
    command = [sys.executable, "-m", __name__, str(wired.folder), str(wired.bucket), verb, backup, job]
    command += ["--die", str(at), "--inside", *wired.inside]
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == -9, f"{verb} at {at}: {done.returncode}\n{done.stdout}{done.stderr}"


def main() -> None:
    """Obey one verb, and die at a point."""
    parser = argparse.ArgumentParser()
    for name in ("folder", "bucket"):
        parser.add_argument(name, type=Path)
    for name in ("verb", "backup", "job"):
        parser.add_argument(name)
    parser.add_argument("--die", type=Point.parse)
    parser.add_argument("--inside", nargs="*", default=())
    options = parser.parse_args()
    wired = Wired(options.folder, options.bucket, tuple(options.inside))
    trigger = Trigger(options.die, act=suicide)
    site, machine = wired.site(), wired.machine()
    site = replace(site, store=killing(site.store, trigger, "store"))
    machine = replace(machine, service=killing(machine.service, trigger, "service"))
    with dying(trigger, Path("/")):
        act(site, machine, options.verb, Request(options.backup, job=options.job), Silent())


if __name__ == "__main__":
    main()
