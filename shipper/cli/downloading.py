"""The command that downloads a node backup. It needs no Cassandra."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from backupstore.core.sizes import human_size
from backupstore.wiring import check_bucket
from shipper.cli.console import out
from shipper.cli.logs import resumable
from shipper.cli.options import Globals
from shipper.download import Request, download
from shipper.snapshot import Filters


def run_download(
    chosen: Globals,
    name: str,
    destination: Path,
    *,
    keyspaces: Sequence[str],
    tables: Sequence[str],
    ignore_system: bool,
) -> None:
    """``download``."""
    check_bucket(chosen.store)
    request = Request(chosen.node_name, name, destination, Filters(tuple(keyspaces), tuple(tables)), ignore_system)
    workers = chosen.settings.storage.concurrent_transfers
    with resumable("Run the same command again to go on where it was."):
        report = download(chosen.store, chosen.layout, request, workers=workers, progress=chosen.console)
    out(
        f"{name} of {request.node}: {report.files:,} files of {report.tables:,} tables, {human_size(report.size)}, in {destination}"
    )
