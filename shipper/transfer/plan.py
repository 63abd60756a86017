"""From the snapshot on disk and the bucket's listing to the plan of the transfer."""

from __future__ import annotations

from collections.abc import Iterator

from backupstore.errors import NodeTrouble
from backupstore.ports import ObjectStore
from shipper.cassandra.data_directories import components
from shipper.cassandra.port import CassandraNode, TableFolder
from shipper.transfer.decide import Destination
from shipper.transfer.ledger import Ledger


def make_plan(ledger: Ledger, cassandra: CassandraNode, tag: str, store: ObjectStore, destination: Destination) -> None:
    """Fill the ledger: every table and file of the snapshot, and one listing of the node's data."""
    for folder in cassandra.snapshot_tables(tag):
        ledger.add_table(folder)
        ledger.add_files(_rows(folder))
    ledger.add_stored(store.list(destination.folder()))
    if destination.mode == "differential" and ledger.knows_versions():
        ledger.add_stored(store.list(destination.layout.versioned_data(destination.node)))


def _rows(folder: TableFolder) -> Iterator[tuple[str, str, str, str, int, str, int, int, int, int]]:
    for component in components(folder):
        try:
            status = component.path.stat(follow_symlinks=False)
        except FileNotFoundError as error:
            raise NodeTrouble(
                f"{component.path} vanished while the snapshot was being read.",
                hint="Find out who runs 'nodetool clearsnapshot', then run the backup again with the same name.",
                operation="plan",
            ) from error
        yield (
            *(component.keyspace, component.table, component.index or "", component.file, component.disk),
            *(str(component.path), status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns),
        )
