"""What a key of the bucket says, as values. How they are spelled is in ``layout``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Announced = Literal["started", "finished", "corrupt"]

_ATTEMPT = re.compile(r"attempt-([1-9][0-9]{0,6})\.json")


@dataclass(frozen=True, slots=True)
class MetaKey:
    """``P F/N/meta/<file>``."""

    node: str
    backup: str
    file: str

    @property
    def attempt(self) -> int | None:
        """The number in ``attempt-<n>.json``; None for every other file."""
        match = _ATTEMPT.fullmatch(self.file)
        return int(match[1]) if match else None


@dataclass(frozen=True, slots=True)
class DataKey:
    """One SSTable component. ``backup`` for full data; ``version`` below ``data-v``; both None for shared data."""

    node: str
    keyspace: str
    table: str
    file: str
    index: str | None = None
    backup: str | None = None
    version: str | None = None


@dataclass(frozen=True, slots=True)
class AnnouncedKey:
    """``index/announced/<P or ->/F/N/<what>``."""

    node: str
    backup: str
    what: Announced


@dataclass(frozen=True, slots=True)
class RowKey:
    """One key of stock's index. ``stamp`` is set for ``started`` and ``finished``."""

    backup: str
    kind: str
    node: str
    stamp: int | None = None


@dataclass(frozen=True, slots=True)
class LatestKey:
    """``P index/latest_backup/F/<file>``."""

    node: str
    file: str


@dataclass(frozen=True, slots=True)
class OwnKey:
    """Any other document of ours: ``P index/<area>/<rest>``."""

    area: str
    rest: str


@dataclass(frozen=True, slots=True)
class JobKey:
    """What is said of a job to its coordinator: ``what`` was asked, wished, or answered by a node."""

    what: Literal["request", "wish", "state"]
    job: str
    wish: str = ""
    node: str = ""
    number: int = 0
    seq: int = 0


Key = MetaKey | DataKey | AnnouncedKey | RowKey | LatestKey | OwnKey


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a key is, and whose: ``prefix`` is empty where there is none."""

    prefix: str
    key: Key
