"""One backup in a process of its own, on a directory as bucket; it may kill itself, or be killed by whoever started it.

python -m tests.shipper.backup.killed_run <base> <mode> [<point>]
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from backupstore.core.documents import Mode
from backupstore.core.layout import Layout
from backupstore.stores.local import LocalStore
from shipper.state import StateDirectory
from tests.clocks import SettableClock
from tests.killing import Point, Trigger, suicide
from tests.recorded import RecordedNode
from tests.shipper.backup.world import World


def open_world(base: Path) -> World:
    """What lies there."""
    store = LocalStore(base / "bucket")
    clock = SettableClock(time.time(), step=2.0)
    return World(RecordedNode(base / "node"), store, store, Layout("prod"), clock, StateDirectory(base / "state"))


def main() -> None:
    """Run it."""
    mode: Mode = "full" if sys.argv[2] == "full" else "differential"
    world = open_world(Path(sys.argv[1]))
    at = Point.parse(sys.argv[3]) if len(sys.argv) > 3 else None
    trigger = Trigger(at, suicide)
    world.node.between = trigger.around("node.between", lambda: None)
    sys.stdout.write("begin\n")
    sys.stdout.flush()
    world.deadly(trigger).back_up("monday", mode)


if __name__ == "__main__":
    main()
