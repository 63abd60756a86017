"""Is every SSTable that was shipped whole and sound? Asked while its bytes have just been read.

Cassandra writes the CRC-32 of ``Data.db`` into ``Digest.crc32`` and the list of components into ``TOC.txt``. Comparing
them here finds a bad disk at backup time instead of at restore time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from backupstore.core.sstables import DATA, DIGEST, TOC, Problem, check_sstable, parse_component
from backupstore.errors import Corrupt
from shipper.transfer.ledger import Done, Ledger

_TEXT_LIMIT = 1 << 16


@dataclass(frozen=True, slots=True)
class Finding:
    """One bad or odd component: ``path`` on the node, ``key`` in the bucket."""

    path: str
    key: str
    why: str
    is_corrupt: bool


def inspect(ledger: Ledger) -> Iterator[Finding]:
    """Check each SSTable that was not checked as it is now, and mark what is corrupt in the ledger.

    Of which nothing was read since, and which has the same components, was checked by the run that read it; what that
    run found is remembered. If it was killed before it could look, the digests of what it read are still known.
    """
    for keyspace, table in ledger.tables():
        for sstable in _sstables(ledger.done(keyspace, table)):
            data = sstable.get(DATA)
            if data is None or data.parts != _parts(sstable) or any(done.read for done in sstable.values()):
                yield from _check(ledger, sstable)
            else:
                yield from (Finding(d.path, d.key, d.corrupt, is_corrupt=True) for d in sstable.values() if d.corrupt)


def _sstables(files: Iterable[Done]) -> Iterator[dict[str, Done]]:
    """One SSTable after the other: in the order of names, its components stand together."""
    for _, group in groupby(files, key=lambda done: (done.hidden, parse_component(done.file)[0])):
        yield {parse_component(done.file)[1]: done for done in group}


def _parts(sstable: Iterable[str]) -> str:
    return "\n".join(sorted(sstable))


def _check(ledger: Ledger, sstable: dict[str, Done]) -> Iterator[Finding]:
    data, toc = sstable.get(DATA), _text(sstable.get(TOC))
    problems = check_sstable(
        frozenset(sstable),
        toc=toc.splitlines() if toc is not None else None,
        digest=_text(sstable.get(DIGEST)),
        data_crc32=data.crc32 if data else None,
    )
    for problem in problems:
        done = _blamed(problem, sstable)
        if problem.is_corrupt:
            ledger.mark_corrupt(done, problem.why)
        yield Finding(done.path, done.key, problem.why, problem.is_corrupt)
    if data is not None:
        ledger.known.mark_checked(data.device, data.inode, _parts(sstable))


def _blamed(problem: Problem, sstable: dict[str, Done]) -> Done:
    """The file that is bad; for one that is missing, another of its SSTable speaks for it."""
    return sstable.get(problem.component) or sstable.get(DATA) or next(iter(sstable.values()))


def _text(done: Done | None) -> str | None:
    if done is None:
        return None
    try:
        with Path(done.path).open("rb") as file:
            return file.read(_TEXT_LIMIT).decode("utf-8", "replace")
    except OSError as error:
        raise Corrupt(
            f"{done.path} was read a moment ago and cannot be read now: {error.strerror}.",
            hint="Check the disk (dmesg, smartctl), and that nobody clears snapshots, then run the backup again.",
            operation="inspect",
        ) from error
