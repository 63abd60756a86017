"""What became of earlier backups: stock overwrites shared files under their names, and its purge sweeps what it does not know.

Stock compares by name and size. Where a size differs, it overwrites the object, which older backups name as well; their
content is gone then, and nobody would hear of it before a restore. So it is looked for here: found, it is told, and put
down as ``meta/damaged``, which the catalog counts as corrupt components. What the node still holds is shipped anew under
a key of its own in any case (``transfer.decide``).

Manifests are only read when the listing shows an object that was written since the last look, and not by this node, or
lacks one that this node relies on: without stock beside us none of this costs a request.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from backupstore.core import layout as grammar
from backupstore.core.contents import same_digest
from backupstore.core.documents import CorruptFile, Damaged, encode
from backupstore.core.manifest import Entry, Item, ManifestReader
from backupstore.errors import Corrupt, Denied, NotFound
from backupstore.ports import StoredObject
from shipper.announce import MOST_FILES, announce
from shipper.meta import Condemnation, Listed, create_any, look, own_backups
from shipper.progress import Progress
from shipper.site import Site
from shipper.transfer.ledger import Ledger

_MEMORY = "looked"
_SKEW = 120.0
"""Seconds that the clocks of one store may differ by."""


@dataclass(frozen=True, slots=True)
class DamageReport:
    """Looks at the node's earlier differential backups, of which ``ledger`` holds the listing of their shared data."""

    site: Site
    backup: str
    ledger: Ledger
    condemned: Condemnation
    _read: dict[str, tuple[str, str] | None] = field(default_factory=dict)

    def tell(self, begun: float, progress: Progress) -> None:
        """Warn of each backup that was damaged since the last look, and put it down.

        ``begun``: a time of the store's before the listing.
        """
        if self._is_due():
            progress.step("looking whether earlier backups were overwritten")
            try:
                for damaged, attempts in self._damaged():
                    self._put_down(damaged, attempts)
                    progress.warn(_warning(damaged, by_us=attempts > 0))
            except Denied as error:
                progress.warn(f"whether earlier backups were overwritten cannot be looked at: {error.message}")
                return
        self.site.state.write(_MEMORY, {"bucket": self.site.bucket, "at": begun - _SKEW})

    def _is_due(self) -> bool:
        """Whether somebody else wrote or deleted something, as far as listing and memory can tell."""
        ledger = self.ledger
        written = any(ledger.known.content_of(stored) is None for stored in ledger.changed_since(self._since()))
        return written or any(ledger.stored(key) is None for key in ledger.known.relied_on())

    def _put_down(self, damaged: Damaged, attempts: int) -> None:
        key = self.site.layout.meta(self.site.name, damaged.backup, grammar.DAMAGED)
        create_any(self.site.store, (key,), encode(damaged))
        announce(self.site, damaged.backup, "corrupt", attempts, damaged.files)

    def _since(self) -> float:
        remembered = self.site.state.read(_MEMORY)
        at = remembered.get("at")
        return float(at) if remembered.get("bucket") == self.site.bucket and isinstance(at, int | float) else 0.0

    def _damaged(self) -> Iterator[tuple[Damaged, int]]:
        site = self.site
        for name in own_backups(site.store, site.layout, site.name):
            listed = look(site.store, site.layout, site.name, name)
            if name == self.backup or name in self.condemned.backups or not _relies_on_shared_data(listed):
                continue
            try:
                files = self._look_at(name, listed.files[grammar.MANIFEST])
            except (NotFound, Corrupt):  # being deleted, or nothing of it can be read: the catalog tells
                continue
            if files:
                first = tuple(files[:MOST_FILES])
                document = Damaged(
                    node=site.name, backup=name, by=self.backup, at=site.clock.now(), count=len(files), files=first
                )
                yield document, listed.attempts

    def _look_at(self, name: str, finished: float) -> list[CorruptFile]:
        layout, node = self.site.layout, self.site.name
        key, shared = layout.meta(node, name, grammar.MANIFEST), layout.shared_data(node)
        reader, suspects = ManifestReader(key), list[Entry]()

        def take(items: Iterable[Item]) -> None:
            entries = (item for item in items if isinstance(item, Entry) and item.path.startswith(shared))
            suspects.extend(each for each in entries if difference(each, self.ledger.stored(each.path), finished) != "")

        self.site.store.fetch(key, lambda piece: take(reader.feed(piece)))
        take(reader.finish())
        return [CorruptFile(path=entry.path, why=why) for entry in suspects if (why := self._damage(entry, finished))]

    def _damage(self, entry: Entry, finished: float) -> str:
        """What became of a suspect; empty where nothing did.

        A byte of the listing may have flipped on its way, and what is put down stays: so the object itself is asked for.
        """
        why = difference(entry, self._at(entry.path), finished)
        if why is None:
            return "" if self._holds(entry) else "was written again, with other content"
        return why

    def _at(self, key: str) -> StoredObject | None:
        try:
            return self.site.store.head(key)
        except NotFound:
            return None

    def _holds(self, entry: Entry) -> bool:
        """Read the object, once, where neither size nor the store's digest tell. What cannot be compared is bad."""
        if entry.path not in self._read:
            sha, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)

            def sink(piece: bytes) -> None:
                sha.update(piece)
                md5.update(piece)

            try:
                self.site.store.fetch(entry.path, sink)
                self._read[entry.path] = sha.hexdigest(), md5.hexdigest()
            except NotFound:
                self._read[entry.path] = None
        digests = self._read[entry.path]
        return digests is not None and (entry.sha256 == digests[0] if entry.sha256 else entry.md5 == digests[1])


def difference(entry: Entry, stored: StoredObject | None, finished: float) -> str | None:
    """Why an object is no longer what the manifest names: empty where it is, None where only reading it can tell.

    ``finished``: when the manifest was written, by the store's time.
    """
    if stored is None:
        return "is gone"
    if stored.size != entry.size:
        return f"was overwritten: {stored.size:,} bytes instead of {entry.size:,}"
    if entry.md5 is not None and stored.digest is not None:
        # An object that was copied, encrypted, or sent in other parts, has another digest for the same content.
        return "" if same_digest(entry.md5, stored.digest) else None
    return None if stored.modified > finished else ""


def _warning(damaged: Damaged, *, by_us: bool) -> str:
    first, whose = damaged.files[0], "" if by_us else ", which stock Medusa made,"
    return (
        f"{damaged.backup}{whose} cannot be restored whole any more: {damaged.count} of its files were overwritten or"
        f" deleted since; {first.path} {first.why}. It is listed as corrupt from now on; this backup holds all of its"
        " own files. Where stock Medusa still makes or purges backups of this node, stop it (docs/guides/beside-stock.md)."
    )


def _relies_on_shared_data(listed: Listed) -> bool:
    files = listed.files.keys()
    is_good = grammar.MANIFEST in files and not files & {grammar.ABANDONED, grammar.DAMAGED}
    return is_good and bool(files & grammar.DIFFERENTIAL_MARKERS)
