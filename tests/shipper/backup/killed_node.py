"""``backup`` as the command line runs it, on a real node, in a process that ends itself at a point.

python -m tests.shipper.backup.killed_node <medusa.ini> <name> <mode> [<point>]
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

from backupstore.clock import SystemClock
from backupstore.core.documents import Mode
from backupstore.settings import Settings, load
from backupstore.wiring import layout_of, open_store
from shipper.backup import Limits, back_up
from shipper.begin import Request
from shipper.progress import Silent
from shipper.site import Site
from shipper.wiring import NodeWiring, naming_of
from tests.killing import Point, Trigger, killing, suicide


def settings_of(ini: Path) -> Settings:
    """As the command line has them."""
    return load(ini, os.environ, {}).settings


def site_of(wiring: NodeWiring) -> Site:
    """What the verbs work with."""
    settings = wiring.settings
    return wiring.site(open_store(settings), layout_of(settings), naming_of(settings).own())


def main() -> None:
    """Run it."""
    ini, name, how, *rest = sys.argv[1:]
    mode: Mode = "full" if how == "full" else "differential"
    trigger = Trigger(Point.parse(rest[0]) if rest else None, suicide)
    wiring = NodeWiring(settings_of(Path(ini)), SystemClock())
    with wiring.node:
        site = site_of(wiring)
        deadly = replace(
            site, store=killing(site.store, trigger, "store"), cassandra=killing(site.cassandra, trigger, "node")
        )
        report = back_up(deadly, Request(name, mode), Limits(workers=4), Silent())
    assert report.is_good, report.findings


if __name__ == "__main__":
    main()
