"""Verify the backups of one node: one work item, whatever host does it.

The node's listings are taken once, however many of its backups are looked at. What a listing shows as missing or changed
is asked for once more, by itself, before it is believed: the listing may be older than the manifest, and a byte of it may
have flipped on its way.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field

from backupstore.core import layout as grammar
from backupstore.core.contents import Check
from backupstore.core.documents import Found, Level, NodeFact
from backupstore.core.keys import DataKey
from backupstore.core.layout import Layout
from backupstore.core.manifest import Entry, Item, check_entry
from backupstore.core.sstables import DATA, DIGEST, TOC, check_sstable, parse_component
from backupstore.core.verification import (
    CORRUPT,
    EXTRA,
    INCOMPLETE,
    MISMATCH,
    MISSING,
    MOST,
    UNCHECKED,
    WHOLE,
    Listed,
    Piece,
    Subset,
    Tally,
    difference,
    is_by_size,
    of_sstable,
    sstable_name,
)
from backupstore.errors import BackupError, Corrupt, NotFound, OutOfTime, Retryable
from backupstore.operations.documents import stream_manifest
from backupstore.operations.inventory import Component, Inventory
from backupstore.ports import ObjectStore

_TEXT_LIMIT = 1 << 16


@dataclass(frozen=True, slots=True)
class Wanted:
    """How closely to look. ``checksums``: ask for each object by itself; ``part_size``: of what stock sent in parts, bytes.

    ``piece``: only these SSTables are looked at, and what concerns no SSTable by the first piece. ``hands_back``: a store
    that does not answer is told as an error, so that somebody tries again, and not as a finding.
    """

    level: Level = "listing"
    checksums: bool = False
    subset: Subset | None = None
    part_size: int = 50 << 20
    piece: Piece = WHOLE
    hands_back: bool = False

    @property
    def reads(self) -> bool:
        """Whether data is read."""
        return self.level == "content"

    def gives_up(self, error: BackupError) -> bool:
        """Whether this is an error, and no finding: what was not looked at now will be looked at by somebody."""
        return isinstance(error, OutOfTime) or (self.hands_back and isinstance(error, Retryable))


def verify_node(
    store: ObjectStore, layout: Layout, node: str, backups: dict[str, NodeFact], wanted: Wanted
) -> dict[str, Tally]:
    """Look at these finished backups of a node, by name. What cannot be looked at is a finding, unless ``wanted`` says other."""
    with closing(Inventory()) as inventory:
        return {
            name: verify_backup(Look(store, layout, node, name, inventory, wanted), fact)
            for name, fact in backups.items()
        }


def verify_backup(look: Look, fact: NodeFact) -> Tally:
    """Look at one finished node backup. As ``verify_node``."""
    key = look.layout.meta(look.node, look.backup, grammar.MANIFEST)
    try:
        look.read_manifest(whole=fact.mode == "full")
        look.sstables()
        if look.wanted.piece.index == 0:
            if fact.mode == "full":
                look.extras()
            look.on_record(fact)
        if look.tally.counts[MISSING]:
            look.store.head(key)
    except NotFound:
        gone = Tally()
        gone.add(Found(kind=INCOMPLETE, node=look.node, why="its backup was deleted while it was verified"))
        return gone
    except BackupError as error:
        if look.wanted.gives_up(error):
            raise
        why = f"not all could be checked: {error.message}"
        look.tally.add(Found(kind=UNCHECKED, node=look.node, path=error.key, why=why))
    return look.tally


@dataclass(slots=True)
class Look:
    """One look at one node backup. ``inventory`` holds what other looks at the same node have listed."""

    store: ObjectStore
    layout: Layout
    node: str
    backup: str
    inventory: Inventory
    wanted: Wanted
    tally: Tally = field(default_factory=Tally)
    _asked: int = field(default=0, init=False)
    _marked: int = field(default=0, init=False)

    def read_manifest(self, *, whole: bool) -> None:
        """Take the manifest, then the listings of all folders that it names. NotFound, Corrupt."""
        self.inventory.begin()
        folders = {self.layout.full_data(self.node, self.backup)} if whole else set[str]()

        def take(items: Sequence[Item]) -> None:
            entries = [
                (check_entry(self.layout, self.node, each, backup=self.backup), each)
                for each in items
                if isinstance(each, Entry)
            ]
            folders.update(self._folder(data) for data, _ in entries)
            self.inventory.add(entries)

        stream_manifest(self.store, self.layout, self.node, self.backup, take)
        for folder in sorted(folders):
            self.inventory.take(folder, self.store.list)

    def sstables(self) -> None:
        """Look at each SSTable."""
        for components in self.inventory.sstables():
            self._marked += sum(bool(component.entry.corrupt) for component in components)
            name = sstable_name(_data_key(self.node, components[0]))
            if not self.wanted.piece.takes(name):
                continue
            taken = self._is_taken(name)
            there = [component for component in components if self._is_there(component, read=taken)]
            if self.wanted.level != "listing":
                self._whole(components, there, read=taken)

    def extras(self) -> None:
        """What lies in a full backup's folder and is not named."""
        for path in self.inventory.extras(self.layout.full_data(self.node, self.backup)):
            self._found(EXTRA, path, "lies in the bucket, and the manifest does not name it")

    def on_record(self, fact: NodeFact) -> None:
        """Damage that was put down beside the backup."""
        damaged = fact.corrupt - self._marked
        if damaged > 0:
            key = self.layout.meta(self.node, self.backup, grammar.DAMAGED)
            why = f"{damaged} objects were overwritten or deleted after the backup was finished"
            self.tally.add(Found(kind=CORRUPT, node=self.node, path=key, why=why))

    def _folder(self, data: DataKey) -> str:
        if data.backup is not None:
            return self.layout.full_data(self.node, self.backup)
        return self.layout.versioned_data(self.node) if data.version else self.layout.shared_data(self.node)

    def _is_taken(self, name: str) -> bool:
        """Whether the bytes of the SSTable of this name are read now."""
        subset = self.wanted.subset
        return self.wanted.reads and (subset is None or subset.takes(name))

    def _is_there(self, component: Component, *, read: bool) -> bool:
        """Compare with the listing; whether there is an object of the right size."""
        entry, listed = component.entry, component.listed
        if self.wanted.checksums:
            listed = self._at(entry.path)
        problem = difference(entry, listed)
        if problem and not self.wanted.checksums and self._asked < MOST:
            self._asked += 1
            listed = self._at(entry.path)
            problem = difference(entry, listed)
        is_there = listed is not None and listed.size == entry.size
        self.tally.objects += 1
        self.tally.size += entry.size
        self.tally.by_size += listed is not None and is_by_size(entry, listed) and not read
        if entry.corrupt:
            self._found(CORRUPT, entry.path, entry.corrupt)
        # An object that was copied, or sent in other parts, has another digest for the same content: reading will tell.
        if problem and not (read and is_there):
            self._found(problem[0], entry.path, problem[1])
        return is_there

    def _at(self, path: str) -> Listed | None:
        try:
            stored = self.store.head(path)
        except NotFound:
            return None
        return Listed(stored.size, stored.digest)

    def _whole(self, components: list[Component], there: list[Component], *, read: bool) -> None:
        """Whether the components make an SSTable: by their names, and by what Cassandra wrote into them where it is read."""
        seen = _Seen()
        for each in there:
            part = parse_component(each.file)[1]
            if read or (self.wanted.checksums and part == TOC):
                self._read(each, part, seen)
        toc, digest = seen.texts.get(TOC), seen.texts.get(DIGEST)
        # One that was bad when it was shipped is told of already, by its manifest.
        if not any(each.entry.corrupt for each in components):
            problems = check_sstable(
                {parse_component(each.file)[1] for each in components},
                toc=toc.splitlines() if toc is not None else None,
                digest=digest,
                data_crc32=seen.crc32,
            )
            for found in of_sstable(problems, self.node, components[0].entry.path):
                self.tally.add(found)
        for part, path in seen.unvouched:
            if not (part == DATA and digest is not None and digest.strip() == str(seen.crc32)):
                self._found(UNCHECKED, path, "was read, and there is no digest to compare it with")

    def _read(self, component: Component, part: str, seen: _Seen) -> None:
        """Read one object whole."""
        entry = component.entry
        check = Check(entry.path, size=entry.size, sha256=entry.sha256, md5=entry.md5, part_size=self.wanted.part_size)
        keep = bytearray() if part in {DIGEST, TOC} else None
        crc32 = 0

        def sink(piece: bytes) -> None:
            nonlocal crc32
            check.take(piece)
            self.tally.read += len(piece)
            if keep is not None:
                keep.extend(piece[: _TEXT_LIMIT - len(keep)])
            if part == DATA:
                crc32 = zlib.crc32(piece, crc32)

        try:
            fetched = self.store.fetch(entry.path, sink)
            if not check.finish(opaque=fetched.opaque):
                seen.unvouched.append((part, entry.path))
        except NotFound:
            self._found(MISSING, entry.path, "went away while it was read")
            return
        except Corrupt as error:
            self._found(MISMATCH, entry.path, error.message)
            return
        if keep is not None:
            seen.texts[part] = keep.decode("utf-8", "replace")
        if part == DATA:
            seen.crc32 = crc32

    def _found(self, kind: str, path: str, why: str) -> None:
        self.tally.add(Found(kind=kind, node=self.node, path=path, why=why))


@dataclass(slots=True)
class _Seen:
    """What was read of an SSTable: the CRC-32 of its data, its texts, and what no digest vouches for (part and path)."""

    crc32: int | None = None
    texts: dict[str, str] = field(default_factory=dict)
    unvouched: list[tuple[str, str]] = field(default_factory=list)


def _data_key(node: str, component: Component) -> DataKey:
    entry = component.entry
    return DataKey(node, entry.keyspace, entry.table, component.file, component.hidden or None)
