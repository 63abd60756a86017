"""Is every SSTable that was shipped whole and sound? Asked while its bytes have just been read.

Cassandra writes the CRC-32 of ``Data.db`` into ``Digest.crc32`` and the list of components into ``TOC.txt``. Comparing
them here finds a bad disk at backup time instead of at restore time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from backupstore.errors import Corrupt
from shipper.cassandra.sstables import DATA, DIGEST, TOC, Problem, check_sstable, parse_component
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
    """Check each SSTable of which anything was read in this run, and mark what is corrupt in the ledger.

    An SSTable of which nothing was read has been checked by the run that read it; what that run found is remembered.
    """
    for keyspace, table in ledger.tables():
        for sstable in _sstables(ledger.done(keyspace, table)):
            if any(done.read for done in sstable.values()):
                yield from _check(ledger, sstable)
            else:
                yield from (Finding(d.path, d.key, d.corrupt, is_corrupt=True) for d in sstable.values() if d.corrupt)


def _sstables(files: Iterable[Done]) -> Iterable[dict[str, Done]]:
    groups: dict[tuple[str, str], dict[str, Done]] = {}
    for done in files:
        descriptor, component = parse_component(done.file)
        groups.setdefault((done.hidden, descriptor), {})[component] = done
    return groups.values()


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
            ledger.mark_corrupt(done.path, problem.why)
        yield Finding(done.path, done.key, problem.why, problem.is_corrupt)


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
