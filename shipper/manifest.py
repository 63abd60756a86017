"""The commit: the manifest is put together in a file, so that its size does not matter, and created in one write."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from backupstore.core import layout as grammar
from backupstore.core.manifest import Entry, TableSection, write_manifest
from backupstore.errors import Conflict, Refused
from shipper.site import Site
from shipper.state import disk_error
from shipper.transfer.ledger import Ledger
from shipper.transfer.source import FileSource


def commit(site: Site, backup: str, ledger: Ledger, *, disks: int) -> None:
    """Write ``manifest.json``. Refused when another process has committed this name with other content."""
    key = site.layout.meta(site.name, backup, grammar.MANIFEST)
    source = _spool(site.state.spool, ledger, disks)
    try:
        site.store.upload(key, source)
    except Conflict as error:
        sha = hashlib.sha256()
        site.store.fetch(key, sha.update)
        if sha.hexdigest() != source.digest().sha256:
            raise Refused(
                f"{backup} of {site.name} was committed by another process meanwhile.",
                hint="Two machines ship under one node name: check 'fqdn' in medusa.ini on both.",
                operation="backup",
                key=key,
            ) from error
    finally:
        site.state.spool.unlink(missing_ok=True)


def items(ledger: Ledger, *, disks: int) -> Iterator[TableSection | Entry]:
    """The manifest's content, in the order of the ledger. ``disk`` is only told where there is more than one."""
    for keyspace, table in ledger.tables():
        yield TableSection(keyspace, table)
        for done in ledger.done(keyspace, table):
            disk = done.disk if disks > 1 else None
            yield Entry(keyspace, table, done.key, done.size, done.md5, done.sha256, done.corrupt, disk)


def _spool(path: Path, ledger: Ledger, disks: int) -> FileSource:
    try:
        with path.open("wb") as file:
            for piece in write_manifest(items(ledger, disks=disks)):
                file.write(piece)
            file.flush()
            status = os.fstat(file.fileno())
    except OSError as error:
        raise disk_error(error, path, "manifest") from error
    return FileSource(path, status.st_size, status.st_mtime_ns)
