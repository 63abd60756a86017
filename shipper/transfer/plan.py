"""From the snapshot on disk and the bucket's listing to the plan of the transfer."""

from __future__ import annotations

from collections.abc import Iterator

from backupstore.ports import ObjectStore
from shipper.cassandra.data_directories import components
from shipper.cassandra.port import CassandraNode, TableFolder
from shipper.transfer.decide import Destination
from shipper.transfer.ledger import Ledger, Planned
from shipper.transfer.source import Seen, unreadable


def make_plan(ledger: Ledger, cassandra: CassandraNode, tag: str, store: ObjectStore, destination: Destination) -> None:
    """Fill the ledger: every table and file of the snapshot, and one listing of the node's data."""
    for folder in cassandra.snapshot_tables(tag):
        ledger.add_table(folder)
        ledger.add_files(_rows(folder))
    ledger.add_stored(store.list(destination.folder()))
    if destination.mode == "differential" and ledger.known.holds_versions():
        ledger.add_stored(store.list(destination.layout.versioned_data(destination.node)))


def _rows(folder: TableFolder) -> Iterator[Planned]:
    for component in components(folder):
        try:
            status = component.path.stat(follow_symlinks=False)
        except OSError as error:
            raise unreadable(component.path, error) from error
        seen = Seen.of(status)
        yield Planned(
            component.keyspace,
            component.table,
            component.index or "",
            component.file,
            component.disk,
            str(component.path),
            status.st_dev,
            seen.inode,
            seen.size,
            seen.mtime_ns,
        )
