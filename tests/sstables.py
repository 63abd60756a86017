"""SSTables as far as a backup looks at them: real names, true digests and TOCs, random content."""

from __future__ import annotations

import hashlib
import random
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

_COMMON = ("Data.db", "Digest.crc32", "Filter.db", "Statistics.db")
_BIG = ("CompressionInfo.db", *_COMMON, "Index.db", "Summary.db")
_SAI = ("SAI+aa+GroupComplete.db", "SAI+aa+by_topic+Meta.db", "SAI+aa+by_topic+TermsData.db")


@dataclass(frozen=True, slots=True)
class Kind:
    """How a table's SSTables look on disk."""

    version: str = "nb"
    form: str = "big"
    uuid: bool = False
    components: tuple[str, ...] = _BIG
    index: str = ""
    flushed: int = 1


TABLES: dict[str, Kind] = {
    "system.local": Kind(),
    "system.peers_v2": Kind(flushed=0),
    "system_schema.tables": Kind(version="me"),
    "system_traces.events": Kind(),
    "shop.customers": Kind(version="oa", uuid=True, index=".customers_by_name"),
    "shop.orders": Kind(
        "da", "bti", uuid=True, components=(*_COMMON, "CompressionInfo.db", "Partitions.db", "Rows.db")
    ),
    "shop.documents": Kind(version="oa", components=(*_BIG, *_SAI)),
    "shop.readings": Kind(components=("CRC.db", *_COMMON, "Index.db", "Summary.db"), flushed=2),
    "shop.empty_shelf": Kind(flushed=0),
    "shop.reborn": Kind(),
    "MixedCase.Tab": Kind(version="md"),
}
SMALL: dict[str, Kind] = {name: TABLES[name] for name in ("system.local", "shop.customers", "shop.empty_shelf")}
"""For whoever stops at every single call."""


def bodies(parts: Iterable[str], chance: random.Random, size: int = 0) -> dict[str, bytes]:
    """The files of one SSTable; ``size`` of Data.db where it shall be a certain one."""
    made = {part: chance.randbytes(chance.randint(1, 400)) for part in sorted(parts)}
    made["Data.db"] = chance.randbytes(size or chance.randint(1, 4000))
    made["Digest.crc32"] = str(zlib.crc32(made["Data.db"])).encode()
    if "Rows.db" in made:
        made["Rows.db"] = b""  # it often is
    made["TOC.txt"] = "".join(f"{part}\n" for part in [*made, "TOC.txt"]).encode()
    return made


def uuid_generation(number: int) -> str:
    """A generation in the form of a UUID."""
    digits = hashlib.md5(str(number).encode(), usedforsecurity=False).hexdigest()
    return f"3{digits[:3]}_{digits[3:7]}_{digits[7:25]}"


def live_below(folder: Path) -> Iterator[Path]:
    """Files of SSTables that are not in a snapshot."""
    yield from sorted(path for path in folder.rglob("*") if path.is_file() and "snapshots" not in path.parts)


def remove_live(folder: Path) -> None:
    """All SSTables are gone; snapshots stay."""
    for path in list(live_below(folder)):
        path.unlink()
