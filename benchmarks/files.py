"""The snapshots that are shipped: directories of SSTables with real names, true digests and random content.

They lie where Cassandra has them, ``<data>/<keyspace>/<table>-<id>/snapshots/<tag>/``, and are made once per run.
"""

from __future__ import annotations

import hashlib
import random
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

TAG = "bench"
"""The tag of the one snapshot that there is."""

KEYSPACE = "bench"

_MIB = 1 << 20
_DERIVED = ("Digest.crc32", "TOC.txt")
_BIG = ("Data.db", "CompressionInfo.db", "Filter.db", "Index.db", "Statistics.db", "Summary.db")
_LEAST = ("Data.db", "Index.db", "Statistics.db")

SizeOf = Callable[[str, random.Random], int]
"""The size of a component, by its name."""


@dataclass(frozen=True, slots=True)
class Files:
    """A snapshot: its data directory, how many files it has, and how many bytes."""

    data: Path
    count: int
    size: int

    @property
    def gib(self) -> float:
        return self.size / (1 << 30)


def large(data: Path) -> Files:
    """2 GiB in four SSTables, all but the hundredth part of it in their Data.db."""
    sizes = {"Data.db": 507 * _MIB, "Index.db": 4 * _MIB, "Filter.db": _MIB // 2, "CompressionInfo.db": _MIB // 4}
    return _made(data, tables=1, sstables=4, parts=_BIG, size_of=lambda part, _: sizes.get(part, 10_000))


def small(data: Path) -> Files:
    """20,000 files. But for Digest.crc32 and TOC.txt, whose content is given, they have 1 to 20 KiB."""
    return _made(data, tables=5, sstables=500, parts=_BIG, size_of=lambda _, chance: chance.randint(1 << 10, 20 << 10))


def few(data: Path) -> Files:
    """10 files, 768 MiB in all: what of a transfer's memory has to do with bytes."""
    sizes = {"Data.db": 256 * _MIB, "Index.db": 128 * _MIB}
    return _made(data, tables=1, sstables=2, parts=_LEAST, size_of=lambda part, _: sizes.get(part, 10_000))


def tiny(data: Path) -> Files:
    """10 of the files of ``many``."""
    return _made(data, tables=1, sstables=2, parts=_LEAST, size_of=lambda _, chance: chance.randint(1, 200))


def many(data: Path) -> Files:
    """100,000 files, all of them tiny: what of a transfer's memory has to do with their number."""
    return _made(data, tables=10, sstables=1250, parts=_BIG, size_of=lambda _, chance: chance.randint(1, 200))


def table_folder(number: int) -> str:
    """The name of a table's directory."""
    return f"table{number}-{hashlib.md5(str(number).encode(), usedforsecurity=False).hexdigest()}"


def _made(data: Path, *, tables: int, sstables: int, parts: tuple[str, ...], size_of: SizeOf) -> Files:
    count = size = 0
    for table in range(tables):
        chance = random.Random(table)
        folder = data / KEYSPACE / table_folder(table) / "snapshots" / TAG
        folder.mkdir(parents=True)
        for generation in range(1, sstables + 1):
            sizes = {part: size_of(part, chance) for part in parts}
            made = _write_sstable(folder, f"nb-{generation}-big", sizes, chance)
            count += len(sizes) + len(_DERIVED)
            size += made
    return Files(data, count, size)


def _write_sstable(folder: Path, descriptor: str, sizes: Mapping[str, int], chance: random.Random) -> int:
    total = crc = 0
    for part, size in sizes.items():
        with (folder / f"{descriptor}-{part}").open("wb") as out:
            for start in range(0, size, _MIB):
                piece = chance.randbytes(min(_MIB, size - start))
                out.write(piece)
                crc = zlib.crc32(piece, crc) if part == "Data.db" else crc
        total += size
    digest, toc = str(crc), "".join(f"{part}\n" for part in [*sizes, *_DERIVED])
    for part, text in zip(_DERIVED, (digest, toc), strict=True):
        (folder / f"{descriptor}-{part}").write_text(text)
    return total + len(digest) + len(toc)
