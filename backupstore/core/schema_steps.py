"""One step of a plan that makes a schema, and what is found while it is made."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from backupstore.core.cql_edit import if_not_exists
from backupstore.core.cql_objects import Kind
from backupstore.core.shown import one_line
from backupstore.errors import Refused

_FEW = 20


@dataclass(frozen=True, slots=True)
class Step:
    """One statement to run. ``column``: the one that it drops from its table, or ``adds`` to it, which may be done already."""

    verb: Literal["create", "drop", "alter"]
    kind: Kind
    keyspace: str
    name: str
    text: str
    column: str = ""
    adds: bool = False


def created(kind: Kind, name: tuple[str, str], text: str) -> Step:
    """The step that creates something, unless it is there."""
    return Step("create", kind, *name, if_not_exists(text))


@dataclass(frozen=True, slots=True)
class Findings:
    """What an operator should know of a plan, and what makes it impossible."""

    told: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    hints: list[str] = field(default_factory=list)

    def refuse(self, why: str, hint: str) -> None:
        """It cannot be done so."""
        if one_line(why) not in self.problems[-_FEW:]:
            self.problems.append(one_line(why))
            self.hints.append(one_line(hint))

    def tell(self, what: str) -> None:
        """Something to know before."""
        self.told.append(one_line(what))

    def check(self) -> None:
        """Refused with all problems, if there are any."""
        if not self.problems:
            return
        shown, more = "; ".join(self.problems[:_FEW]), len(self.problems) - _FEW
        raise Refused(
            f"The schema of the backup cannot be made here: {shown}{f'; and {more} more' if more > 0 else ''}.",
            hint=" ".join(dict.fromkeys(self.hints[:_FEW])),
            operation="schema",
        )
