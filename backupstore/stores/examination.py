"""What only an examination asks of a bucket beyond the port: its rules, its clock, what dead writers left in it.

Values only, so that whoever judges them needs no SDK.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class Rule:
    """An enabled rule of a bucket's lifecycle, for keys that begin with ``prefix``.

    ``expires``: it deletes objects by their age. ``moves_to``: the storage class it moves them to, empty for none.
    ``aborts``: it gives up unfinished uploads. ``old_versions``: it deletes versions that are no longer current;
    ``old_days``: so many days after they were deleted or overwritten, None where that is not told. ``some``: it holds for
    some of these objects or versions only, by their tags, sizes or number.
    """

    id: str
    prefix: str
    expires: bool = False
    moves_to: str = ""
    aborts: bool = False
    old_versions: bool = False
    old_days: int | None = None
    some: bool = False


@dataclass(frozen=True, slots=True)
class Retention:
    """Until when an object cannot be destroyed, in epoch seconds. ``mode``: COMPLIANCE, or GOVERNANCE, which some may lift."""

    mode: str
    until: float


@dataclass(frozen=True, slots=True)
class Unfinished:
    """Multipart uploads that are neither finished nor given up. ``oldest``: epoch seconds by the store's clock."""

    count: int
    oldest: float


class Examination(Protocol):
    """Questions to one remote bucket. Each raises what the store raises, Denied above all."""

    def skew(self, folder: str) -> float:
        """The store's clock minus this machine's, in seconds, by a listing of a folder; it tells no fractions."""
        ...

    def creates_in_parts(self, key: str) -> bool:
        """Whether an upload in parts to a key that is in use is refused. Where not, the key holds one byte after it."""
        ...

    def unfinished(self, folder: str) -> Unfinished:
        """Unfinished uploads below a folder."""
        ...

    def lifecycle(self) -> tuple[Rule, ...]:
        """The enabled rules."""
        ...

    def versioning(self) -> str:
        """``Enabled``, ``Suspended``, or empty where it was never asked for."""
        ...

    def lock_days(self) -> str:
        """By default, how new objects are locked: ``COMPLIANCE 30 Days``; empty where they are not."""
        ...


@runtime_checkable
class Retaining(Protocol):
    """An examination that can also ask about one object's lock."""

    def retained(self, key: str) -> Retention | None:
        """How this object is locked; None when it is not, or is not there."""
        ...


@runtime_checkable
class Examinable(Protocol):
    """A store that can be examined."""

    def examination(self) -> Examination:
        """Ask more than a program needs that only stores."""
        ...
