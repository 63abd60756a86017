"""The commit: the manifest is put together in a file, so that its size does not matter, and created in one write."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from backupstore.core import layout as grammar
from backupstore.core.manifest import Entry, ManifestReader, TableSection, write_manifest
from backupstore.core.manifest import Totals as Sums
from backupstore.errors import Conflict, Denied, NotFound, Refused
from shipper.announce import MOST_FILES
from shipper.site import Site
from shipper.state import disk_error
from shipper.transfer.inspect import Finding
from shipper.transfer.ledger import Ledger, Totals
from shipper.transfer.source import FileSource, Seen


def commit(site: Site, backup: str, ledger: Ledger, check: Callable[[], None]) -> float:
    """Write ``manifest.json``; returns the store's time of it. ``check`` raises when it is too late to.

    Refused when another process has committed this name with other content.
    """
    key = site.layout.meta(site.name, backup, grammar.MANIFEST)
    source = _spool(site.state.spool, ledger, len(site.cassandra.data_directories), check)
    try:
        return site.store.upload(key, source).modified
    except Conflict as error:
        sha = hashlib.sha256()
        stored = site.store.fetch(key, sha.update)
        if sha.hexdigest() == source.digest().sha256:  # an answer that was lost
            return stored.modified
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


def is_announced(site: Site, backup: str) -> bool:
    """Whether anybody was told that this backup is finished."""
    try:
        site.store.head(site.layout.announced(site.name, backup, "finished"))
    except (NotFound, Denied):  # who may not list the bucket is told that an absent object is forbidden
        return False
    return True


def look_back(site: Site, backup: str) -> tuple[Totals, tuple[Finding, ...]]:
    """What a backup that was committed by an earlier run came to: sums, and what was found to be corrupt."""
    key = site.layout.meta(site.name, backup, grammar.MANIFEST)
    reader, sums, findings = ManifestReader(key), Sums(), list[Finding]()

    def take(items: list[TableSection | Entry]) -> None:
        nonlocal sums
        sums = sums.plus(items)
        for item in items:
            if isinstance(item, Entry) and item.corrupt is not None and len(findings) < MOST_FILES:
                findings.append(Finding(item.path, item.path, item.corrupt, is_corrupt=True))

    site.store.fetch(key, lambda piece: take(reader.feed(piece)))
    take(reader.finish())
    return Totals(sums.objects, sums.size, 0, 0, sums.corrupt), tuple(findings)


class _Timely(FileSource):
    """The manifest's bytes, as long as it is not too late: the store cannot finish an object without its last piece."""

    def __init__(self, path: Path, seen: Seen, check: Callable[[], None]) -> None:
        super().__init__(path, seen)
        self._check = check

    def chunks(self) -> Iterator[bytes]:
        for piece in super().chunks():
            self._check()
            yield piece


def _spool(path: Path, ledger: Ledger, disks: int, check: Callable[[], None]) -> FileSource:
    try:
        with path.open("wb") as file:
            for piece in write_manifest(items(ledger, disks=disks)):
                file.write(piece)
            file.flush()
            seen = Seen.of(os.fstat(file.fileno()))
    except OSError as error:
        raise disk_error(error, path, "manifest") from error
    return _Timely(path, seen, check)
