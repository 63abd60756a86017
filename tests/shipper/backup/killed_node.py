"""``backup`` as the command line runs it, on a real node, in a process that ends itself at a point.

python -m tests.shipper.backup.killed_node <medusa.ini> <name> <mode> [<point>]

On S3 each request is a call too: ``s3.POST``, its first argument key and query.
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

from backupstore.clock import SystemClock
from backupstore.core.documents import Mode
from backupstore.settings import Settings, load
from backupstore.stores.http.client import Answer, Taker
from backupstore.stores.s3.client import Ask, Client
from backupstore.stores.s3.signing import query_string
from backupstore.stores.s3.store import S3Store
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


def kill_requests(client: Client, trigger: Trigger) -> None:
    """Make each request deadly."""
    once = client.once

    def deadly(ask: Ask, taker: Taker | None = None) -> Answer:
        def send(_: str) -> Answer:
            return once(ask, taker)

        return trigger.around(f"s3.{ask.method}", send)(f"{ask.key}?{query_string(ask.query)}")

    vars(client)["once"] = deadly


def main() -> None:
    """Run it."""
    ini, name, how, *rest = sys.argv[1:]
    mode: Mode = "full" if how == "full" else "differential"
    trigger = Trigger(Point.parse(rest[0]) if rest else None, suicide)
    wiring = NodeWiring(settings_of(Path(ini)), SystemClock())
    with wiring.node:
        site = site_of(wiring)
        if isinstance(site.store, S3Store):
            kill_requests(site.store._client, trigger)
        deadly = replace(
            site, store=killing(site.store, trigger, "store"), cassandra=killing(site.cassandra, trigger, "node")
        )
        report = back_up(deadly, Request(name, mode), Limits(workers=4), Silent())
    assert report.is_good, report.findings


if __name__ == "__main__":
    main()
