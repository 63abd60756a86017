"""What tests tell stories with: nodes that ship, stock that backs up, an indexer that is told of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from backupstore.core import layout as grammar
from backupstore.core.documents import ClusterBackup, Head, NodeFact, encode
from backupstore.core.events import Subject
from backupstore.core.keys import RowKey
from backupstore.core.layout import Layout
from backupstore.core.writers import Principal
from backupstore.operations.index import IndexReport, index
from backupstore.operations.reading import read_backup, read_head
from backupstore.operations.reconcile import ReconcileReport, reconcile
from backupstore.stores.memory import MemoryBucket, MemoryStore
from tests.attempts import attempt_of
from tests.operations.lives import VERSION, manifest, tokenmap

RING = {"n1": "dc1", "n2": "dc1"}


@dataclass
class Story:
    """One bucket, one cluster."""

    layout: Layout = field(default_factory=lambda: Layout("p"))
    bucket: MemoryBucket = field(default_factory=MemoryBucket)
    _revisions: Any = field(default_factory=count)

    @property
    def store(self) -> MemoryStore:
        """As the bucket's owner."""
        return self.bucket.open(None)

    @property
    def indexer(self) -> MemoryStore:
        return self.bucket.open(Principal.INDEXER, self.layout)

    def revision(self) -> str:
        return f"r{next(self._revisions)}"

    def meta(self, node: str, backup: str, file: str) -> str:
        return self.layout.meta(node, backup, file)

    # --- what others write ---

    def ship(self, node: str, backup: str, **bodies: bytes | None) -> None:
        """A finished backup by our shipper; ``bodies`` replaces files by the name of their part, or leaves them out."""
        attempt = attempt_of(node, backup)
        files: dict[str, tuple[str, bytes | None]] = {
            "schema": (grammar.SCHEMA, b"schema"),
            "attempt": ("attempt-1.json", encode(attempt)),
            "tokenmap": (grammar.TOKENMAP, tokenmap(RING)),
            "version": (grammar.SERVER_VERSION, VERSION),
            "differential": (grammar.DIFFERENTIAL, None),
            "abandoned": (grammar.ABANDONED, None),
            "manifest": (grammar.MANIFEST, manifest(self.layout.full_data(node, backup))),
        }
        for part, (file, sound) in files.items():
            body = bodies.get(part, sound)
            if body is not None:
                self.store.put(self.meta(node, backup, file), body)

    def stock(self, node: str, backup: str, **bodies: bytes | None) -> None:
        """A finished backup by stock, its rows included."""
        self.ship(node, backup, attempt=None, **bodies)
        rows = {"schema": grammar.SCHEMA, "tokenmap": grammar.TOKENMAP, "manifest": grammar.MANIFEST}
        for kind, file in rows.items():
            body = self.store.read(self.meta(node, backup, file)).body
            self.store.put(self.layout.row(RowKey(backup, kind, node)), body)
        for kind, stamp in (("started", 1), ("finished", 2)):
            self.store.put(self.layout.row(RowKey(backup, kind, node, stamp)), b"1")

    def remove(self, folder: str) -> None:
        self.store.delete([held.key for held in self.store.list(folder)])

    # --- what we do ---

    def index(self, *node_backups: tuple[str, str], now: float = 100.0) -> IndexReport:
        """The first failure is raised."""
        subjects = [Subject(self.layout.prefix, node, backup) for node, backup in node_backups]
        report = index(self.indexer, subjects, now=now, revision=self.revision)
        for why in report.failed.values():
            raise why
        return report

    def reconcile(self, *, now: float = 200.0, everything: bool = False) -> ReconcileReport:
        return reconcile(self.indexer, self.layout, now=now, revision=self.revision, everything=everything)

    # --- what there is ---

    def head(self) -> Head:
        found = read_head(self.store, self.layout)
        assert found
        return found

    def document(self, backup: str) -> ClusterBackup:
        found = read_backup(self.store, self.layout, backup)
        assert found
        return found

    def fact(self, node: str, backup: str) -> NodeFact:
        return self.document(backup).nodes[node]

    def rows(self, backup: str) -> Sequence[str]:
        folder = self.layout.rows(backup)
        return [held.key[len(folder) :] for held in self.store.list(folder)]

    def marker(self, node: str) -> bytes | None:
        key = self.layout.latest(node, grammar.BACKUP_NAME)
        return next(
            (self.store.read(key).body for held in self.store.list(self.layout.all_latest()) if held.key == key), None
        )
