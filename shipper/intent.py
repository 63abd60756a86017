"""May this node begin, or go on with, a backup of that name? The decision alone, from what lies under the name.

A name is used once. A killed backup is gone on with under its own name, as a further attempt, by the same node, in the
same mode, with the same filters, and not later than half of ``incomplete_grace`` after it began: purge relies on nobody
committing after that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from backupstore.core import layout as grammar
from backupstore.core.documents import Attempt, Mode
from backupstore.errors import Refused


@dataclass(frozen=True, slots=True)
class Wanted:
    """The backup that was asked for."""

    node: str
    backup: str
    mode: Mode
    host_id: str
    keyspaces: tuple[str, ...]
    tables: tuple[str, ...]
    begun_here: bool = False
    """Whether this node remembers that it has begun a backup of that name."""


@dataclass(frozen=True, slots=True)
class Found:
    """What lies in ``meta`` under the name: file names with times, and the latest attempt's document."""

    files: Mapping[str, float]
    latest: Attempt | None


@dataclass(frozen=True, slots=True)
class New:
    """Nothing lies there: begin."""

    attempt: int = 1


@dataclass(frozen=True, slots=True)
class Resume:
    """An earlier attempt did not finish: go on. ``begun`` is the store's time of the intent."""

    attempt: int
    begun: float
    files: frozenset[str]


def decide_intent(wanted: Wanted, found: Found, *, now: float, grace: float) -> New | Resume:
    """Decide. Refused with the reason and the way out.

    ``now`` is the store's time or close to it, ``grace`` in seconds.
    """
    if not found.files:
        return New()
    _refuse_when_over(wanted, found)
    if grammar.SCHEMA not in found.files:
        raise _taken(wanted, f"{grammar.SCHEMA}, which is written first and deleted last, is missing")
    latest = found.latest
    if latest is not None:
        _refuse_other(wanted, latest)
    elif len(found.files) > 1 or not wanted.begun_here:
        raise _taken(wanted, "an unfinished backup of stock Medusa has this name")
    # Without an attempt it is our own intent, killed before its attempt was written: nothing relies on it yet.
    begun = found.files[grammar.SCHEMA]
    if now - begun > grace / 2:
        raise _taken(wanted, f"it was begun {(now - begun) / 86400:.1f} days ago, too long to be finished safely")
    return Resume(latest.attempt + 1 if latest else 1, begun, frozenset(found.files))


def _refuse_other(wanted: Wanted, latest: Attempt) -> None:
    """Only the same node may go on, with the same backup."""
    if latest.host_id != wanted.host_id:
        raise _taken(
            wanted, f"it was begun by the node with host id {latest.host_id}, and this one is {wanted.host_id}"
        )
    if latest.mode != wanted.mode:
        raise _taken(
            wanted,
            f"it was begun in {latest.mode} mode",
            f"Run it with --mode {latest.mode} to finish it, or choose another name.",
        )
    if (set(latest.keyspaces), set(latest.tables)) != (set(wanted.keyspaces), set(wanted.tables)):
        raise _taken(wanted, "it was begun with other --keyspace or --table filters")


def _refuse_when_over(wanted: Wanted, found: Found) -> None:
    if grammar.ABANDONED in found.files:
        raise _taken(wanted, "it was given up")
    if grammar.MANIFEST in found.files:
        raise _taken(wanted, "this node has already finished it")


def _taken(
    wanted: Wanted, why: str, hint: str = "Choose another name, or leave --backup-name out for one made of the time."
) -> Refused:
    return Refused(
        f"The name {wanted.backup} is taken for {wanted.node}: {why}.",
        hint=hint,
        operation="backup",
        key=wanted.backup,
    )
