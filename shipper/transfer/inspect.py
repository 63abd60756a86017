"""Is every SSTable that was shipped whole and sound? Asked while its bytes have just been read.

Cassandra writes the CRC-32 of ``Data.db`` into ``Digest.crc32`` and the list of components into ``TOC.txt``. Comparing
them here finds a bad disk at backup time instead of at restore time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from shipper.cassandra.sstables import (
    DATA,
    DIGEST,
    TOC,
    Descriptor,
    Evidence,
    Problem,
    Severity,
    check_sstable,
    parse_component,
    read_small,
)
from shipper.transfer.ledger import Done, Ledger


@dataclass(frozen=True, slots=True)
class Finding:
    """One bad or odd component: ``path`` on the node, ``key`` in the bucket."""

    path: str
    key: str
    why: str
    is_corrupt: bool


def inspect(ledger: Ledger) -> Iterator[Finding]:
    """Check each SSTable of which anything was read in this run, and mark what is corrupt in the ledger.

    An SSTable of which nothing was read has been checked by the run that read it; what that run found is remembered.
    """
    for keyspace, table in ledger.tables():
        for descriptor, sstable in _sstables(ledger.done(keyspace, table)).items():
            if any(done.read for done in sstable.values()):
                yield from _check(ledger, descriptor[1], sstable)
            else:
                yield from (Finding(d.path, d.key, d.corrupt, is_corrupt=True) for d in sstable.values() if d.corrupt)


def _sstables(files: Iterable[Done]) -> dict[tuple[str, Descriptor], dict[str, Done]]:
    groups: dict[tuple[str, Descriptor], dict[str, Done]] = {}
    for done in files:
        parsed = parse_component(done.file)
        if parsed:
            groups.setdefault((done.index, parsed[0]), {})[parsed[1]] = done
    return groups


def _check(ledger: Ledger, descriptor: Descriptor, sstable: dict[str, Done]) -> Iterator[Finding]:
    data = sstable.get(DATA)
    seen = Evidence(
        descriptor,
        frozenset(sstable),
        toc=_bytes(sstable.get(TOC)),
        digest=_bytes(sstable.get(DIGEST)),
        crc=data.crc32 if data else None,
    )
    for problem in check_sstable(seen):
        done = _blamed(problem, sstable)
        is_corrupt = problem.severity is not Severity.WARNING
        if is_corrupt:
            ledger.mark_corrupt(done.path, problem.text)
        yield Finding(done.path, done.key, problem.text, is_corrupt)


def _blamed(problem: Problem, sstable: dict[str, Done]) -> Done:
    """The file that is bad; for one that is missing, another of its SSTable speaks for it."""
    return sstable.get(problem.component) or sstable.get(DATA) or next(iter(sstable.values()))


def _bytes(done: Done | None) -> bytes | None:
    return read_small(Path(done.path)) if done else None
