"""Memory is bounded by what is in flight, not by how many files a node has."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from backupstore.errors import NotFound
from backupstore.ports import Document, Folder, Source, StoredObject
from shipper.backup import Limits
from tests.recorded import Kind, RecordedNode
from tests.shipper.backup.world import World, with_bucket

MANY = 12_000
PER_TABLE = 125  # SSTables; a table is listed as a whole, so it is the unit of memory
AT_MOST = 6 << 20  # five for what is in flight; one would be 90 bytes for each file: hardly any object is as small


class Forgetful:
    """A bucket that takes everything and remembers only what a listing shows, on disk."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._path.touch()

    def create(self, key: str, body: bytes) -> StoredObject:
        return StoredObject(key, len(body), 1.0, "0" * 32)

    def upload(self, key: str, source: Source) -> StoredObject:
        size = sum(len(piece) for piece in source.chunks())
        with self._path.open("a") as file:
            file.write(f"{key} {size}\n")
        return StoredObject(key, size, 1.0, "0" * 32)

    def read(self, key: str, *, limit: int = 0) -> Document:
        raise NotFound(f"{key} {limit}")

    def head(self, key: str) -> StoredObject:
        if "/data-v/" in key:
            raise NotFound(key)
        return StoredObject(key, 1, 1.0, "0" * 32)

    def entries(self, _folder: str) -> Folder:
        return Folder((), ())

    def list(self, folder: str) -> Iterator[StoredObject]:
        with self._path.open() as file:
            for line in file:
                key, size = line.split()
                if key.startswith(folder):
                    yield StoredObject(key, int(size), 1.0, "0" * 32)


def world_of(base: Path, files: int) -> World:
    """A node with so many tiny files, eight to an SSTable."""
    sstables = files // 8
    tables = {f"shop.table_{each:04}": Kind(flushed=0) for each in range(-(-sstables // PER_TABLE))}
    node = RecordedNode.make(base / "node", tables=tables, disks=1)
    for number in range(sstables):
        (folder,) = node.folders(f"shop.table_{number // PER_TABLE:04}")
        for part, body in _TINY.items():
            (folder / f"nb-{number + 1}-big-{part}").write_bytes(body)
    world = with_bucket(node, base)
    return replace(world, store=Forgetful(base / "listing"), limits=Limits(workers=4))  # type: ignore[arg-type]


_PARTS = ("CompressionInfo.db", "Data.db", "Digest.crc32", "Filter.db", "Index.db", "Statistics.db", "Summary.db")
_TINY = dict.fromkeys(_PARTS, b"") | {"Digest.crc32": b"0", "TOC.txt": "\n".join([*_PARTS, "TOC.txt"]).encode()}


def peak(world: World, name: str) -> int:
    """Bytes of Python objects that a backup needed at most."""
    tracemalloc.start()
    try:
        report = world.back_up(name)
        assert report.findings == ()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_many_files_need_little_memory(tmp_path: Path) -> None:
    world = world_of(tmp_path, MANY)
    world.back_up("warm-up")  # the interpreter's own tables grow once
    world.state.known_files.unlink()
    assert peak(world, "everything-is-new") < AT_MOST
    assert peak(world, "everything-is-known") < AT_MOST
