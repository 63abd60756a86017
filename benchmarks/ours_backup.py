"""Our ``backup`` as a process, with everything but Cassandra: from the snapshot on disk to the committed manifest.

    python -m benchmarks.ours_backup medusa.ini NAME FOLDER

Settings, store, plan, transfer, inspection, manifest and announcements are the program's own. The node beside it costs
nothing: its snapshot is there already. It does not wait for an indexer at the end, as there is none.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from backupstore.clock import SystemClock
from backupstore.settings import load
from backupstore.wiring import bucket_identity, layout_of, make_bucket, open_store
from benchmarks.files import TAG
from shipper.backup import Limits, back_up
from shipper.begin import Request
from shipper.cassandra import data_directories
from shipper.cassandra.port import TableFolder
from shipper.progress import Silent
from shipper.site import Site
from shipper.state import StateDirectory
from tests.recorded import NAME, RecordedNode


class PreparedNode(RecordedNode):
    """A node of which there is one snapshot, whatever tag is asked for."""

    @classmethod
    def at(cls, folder: Path) -> PreparedNode:
        """The node with the data directory ``folder/data1``, where the snapshot is."""
        if not (folder / "node.json").exists():
            (folder / "data1").rename(folder / "prepared")
            RecordedNode.make(folder, disks=1, tables={})
            (folder / "data1").rmdir()
            (folder / "prepared").rename(folder / "data1")
        return cls(folder)

    def snapshot(self, tag: str, *, keyspaces: Sequence[str] = (), tables: Sequence[str] = ()) -> None:
        """It is there."""

    def snapshot_tags(self, start: str) -> tuple[str, ...]:
        """None that could be in anybody's way."""
        return ()

    def clear_snapshot(self, tag: str) -> None:
        """The next run needs it."""

    def snapshot_tables(self, tag: str) -> tuple[TableFolder, ...]:
        """What was prepared."""
        return data_directories.snapshot_tables(self.data_directories, TAG)


def main(ini: Path, name: str, folder: Path) -> None:
    """Back up, differentially."""
    settings, clock = load(ini, os.environ, {}).settings, SystemClock()
    store = open_store(settings)
    make_bucket(store)
    site = Site(
        store,
        layout_of(settings),
        PreparedNode.at(folder),
        NAME,
        StateDirectory(settings.shipper.state_dir),
        clock,
        bucket_identity(settings.storage),
    )
    report = back_up(site, Request(name), Limits(workers=settings.storage.concurrent_transfers), Silent())
    if not report.is_good:
        sys.exit("the prepared files are not sound")
    sys.stdout.write(f"{report.totals}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
