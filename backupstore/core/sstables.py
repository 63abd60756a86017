"""SSTables on disk: the names of their components, and what must fit together in one of them.

    nb-1-big-Data.db                                   numeric generation, BIG
    da-3h5r_08py_4k6i21ykkl1f13t4z2-bti-Rows.db        UUID generation, BTI
    oa-2-big-SAI+aa+by_topic+Meta.db                   a component of a storage-attached index

``Digest.crc32`` holds the CRC-32 of all bytes of ``Data.db``, compressed or not, as a decimal number: ``zlib.crc32`` of
the file. ``TOC.txt`` names the components, one a line. Both are written with the SSTable, so that a difference means
that the disk lost or changed something. What the checks say is a value; what follows is the caller's decision.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import IntEnum

DATA = "Data.db"
DIGEST = "Digest.crc32"
TOC = "TOC.txt"

_SHAPE = re.compile(r"([a-z]{2}-(?:[0-9]+|[0-9a-z]{4}_[0-9a-z]{4}_[0-9a-z]{18})-[a-z]+)-(.+)")
_NEEDED = frozenset({DATA, "Statistics.db", DIGEST})
_BIG = frozenset({"Index.db"})
_BTI = frozenset({"Partitions.db", "Rows.db"})
_COMPRESSED, _PLAIN = "CompressionInfo.db", "CRC.db"
# Cassandra makes these again, or does without them and is only slower.
_SPARE = re.compile(r"Filter\.db|Summary\.db|TOC\.txt|CRC\.db|SAI\+.*|SI_.*")


class Severity(IntEnum):
    """What a problem means for the SSTable, worst first."""

    CORRUPT = 1
    """Bytes that are there are wrong."""
    MISSING = 2
    """Something is not there without which it cannot be read, or not be checked."""
    WARNING = 3
    """Something is not as written that Cassandra can do without."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with an SSTable."""

    severity: Severity
    component: str
    why: str

    @property
    def is_corrupt(self) -> bool:
        """Whether the SSTable is not, or not surely, what Cassandra wrote."""
        return self.severity is not Severity.WARNING


def parse_component(file: str) -> tuple[str, str]:
    """Which SSTable of its folder a file belongs to, and as what; a stranger is one of its own, without component."""
    match = _SHAPE.fullmatch(file)
    return (match[1], match[2]) if match else (file, "")


def check_sstable(
    components: AbstractSet[str], *, toc: Sequence[str] | None, digest: str | None, data_crc32: int | None
) -> tuple[Problem, ...]:
    """Everything that is wrong with an SSTable, worst first.

    ``toc`` holds the lines of TOC.txt and ``digest`` the text of Digest.crc32, None where there is no such file.
    ``data_crc32`` is the CRC-32 of Data.db as it was read, None when it was not read.
    """
    if components == {""}:
        return (Problem(Severity.WARNING, "", "this is no file of an SSTable"),)
    listed = frozenset(line.strip() for line in toc or ()) - {""}
    problems = [*_wrong_digest(digest, data_crc32), *_absent(components, listed), *_unlisted(components, listed)]
    return tuple(sorted(problems, key=lambda problem: (problem.severity, problem.component)))


def _wrong_digest(digest: str | None, data_crc32: int | None) -> list[Problem]:
    if digest is None:
        return []
    number = digest.strip()
    if re.fullmatch(r"[0-9]{1,10}", number, re.ASCII) is None:
        return [Problem(Severity.CORRUPT, DIGEST, f"{DIGEST} does not hold a number")]
    if data_crc32 is not None and data_crc32 != int(number):
        return [Problem(Severity.CORRUPT, DATA, f"{DATA} has the CRC {data_crc32}, {DIGEST} says {int(number)}")]
    return []


def _absent(components: AbstractSet[str], listed: AbstractSet[str]) -> list[Problem]:
    """What its format needs, or its TOC.txt names, and is not there."""
    expected = {*_NEEDED, *(_BTI if _BTI & (components | listed) else _BIG), TOC, *listed}
    problems = []
    for component in expected - components:
        severity = Severity.WARNING if _SPARE.fullmatch(component) else Severity.MISSING
        known = f", though {TOC} names it" if component in listed else ""
        problems.append(Problem(severity, component, f"{component} is missing{known}"))
    # Without a TOC nothing says whether the data is compressed; one of these two always does.
    if not listed and not components & {_COMPRESSED, _PLAIN}:
        problems.append(Problem(Severity.MISSING, _COMPRESSED, f"neither {_COMPRESSED} nor {_PLAIN} is there"))
    return problems


def _unlisted(components: AbstractSet[str], listed: AbstractSet[str]) -> list[Problem]:
    extra = components - listed - {TOC} if listed else set()
    return [
        Problem(Severity.WARNING, component, f"{component} is there, but {TOC} does not name it") for component in extra
    ]
