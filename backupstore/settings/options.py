"""How an option is described: once, beside the field of the section that holds its value.

``option`` makes a dataclass field that carries the description as metadata. Parsing, the messages, the environment
variables and ``docs/settings.md`` are all drawn from it, so that none of them can differ from the others.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, TypeVar, cast

from backupstore.settings.kinds import Kind

T = TypeVar("T")

_DESCRIPTION = "description"


@dataclass(frozen=True, slots=True)
class Description:
    """What an option is. ``default`` is text as it would stand in the file: empty is "not set", None is "required"."""

    kind: Kind[Any]
    default: str | None
    meaning: str
    obeyed_by: str


@dataclass(frozen=True, slots=True)
class Option:
    """A described option in its place."""

    section: str
    key: str
    description: Description

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return f"MEDUSA_{self.section}_{self.key}".upper()

    def show(self, text: str) -> str:
        """``[section] key = value`` for a message: short, printable, and without secrets."""
        first, *more = text.splitlines() or [""]
        shown = "".join(char if char.isprintable() else repr(char)[1:-1] for char in first[:80])
        dots = "…" if more or len(first) > len(first[:80]) else ""
        value = "***" if self.description.kind.secret else shown + dots
        return f"[{self.section}] {self.key} = {value}".rstrip()


def option(kind: Kind[T], default: str | None, meaning: str, obeyed_by: str) -> T:
    """A field of a section. The kind's type is the field's type, which the type checker holds."""
    about = {_DESCRIPTION: Description(kind, default, meaning, obeyed_by)}
    if default is None:
        return cast("T", field(metadata=about, repr=not kind.secret))
    return field(default=kind.parse(default), metadata=about, repr=not kind.secret)


def options_of(section: str, holder: type) -> tuple[Option, ...]:
    """The options of one section, in the order in which they are described."""
    return tuple(Option(section, entry.name, entry.metadata[_DESCRIPTION]) for entry in fields(holder))
