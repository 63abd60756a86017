"""The host list of ``restore-cluster``: which node takes the place of which one, as stock Medusa's users write it.

    # is it a seed?, target, source
    True,new_node1.foo.net,old_node1.foo.net
    False,new_node2.foo.net,old_node2.foo.net

Empty lines, and lines that begin with ``#``, are left out. A target may stand in several lines with several sources.
Stock takes any first column but ``True`` for no, and of a target's lines the last; both would restore something else
than what was meant, so here they are told with the line's number.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from backupstore.core import names
from backupstore.core.shown import excerpt
from backupstore.errors import Refused

_COLUMNS = 3
_SEED = {"true": True, "false": False}
_SHOWN = 12


@dataclass(frozen=True, slots=True)
class HostLine:
    """One line. ``number`` counts from 1."""

    number: int
    target: str
    source: str
    is_seed: bool = field(kw_only=True)


def parse_host_list(text: str, separator: str, file: str) -> tuple[HostLine, ...]:
    """The lines in their order. Refused with every mistake at once, each with the number of its line."""
    lines, mistakes = list[HostLine](), list[str]()
    for number, line in _told(text):
        columns = [column.strip() for column in line.split(separator)]
        why = _mistake(columns, separator)
        if why:
            mistakes.append(f"line {number}: {why}")
        else:
            lines.append(HostLine(number, columns[1], columns[2], is_seed=_SEED[columns[0].lower()]))
    mistakes += _contradictions(lines)
    if not lines and not mistakes:
        mistakes.append("it names no node")
    if mistakes:
        more = (f"and {len(mistakes) - _SHOWN} more",) if len(mistakes) > _SHOWN else ()
        told = "\n    ".join((f"{file} is no list of hosts:", *mistakes[:_SHOWN], *more))
        example = separator.join(("True", "new1.example.org", "old1.example.org"))
        raise Refused(
            told,
            hint=f"Each line names whether it is a seed, the target, and the source: {example}",
            operation="restore-cluster",
        )
    return tuple(lines)


def _told(text: str) -> Iterator[tuple[int, str]]:
    """The lines that say something, with their numbers."""
    for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), start=1):
        if line.strip() and not line.lstrip().startswith("#"):
            yield number, line.strip()


def _mistake(columns: list[str], separator: str) -> str:
    if len(columns) != _COLUMNS:
        return f"it has {len(columns)} columns and not {_COLUMNS}, separated by {separator!r}"
    seed, *hosts = columns
    if seed.lower() not in _SEED:
        return f"whether it is a seed is True or False, not {excerpt(seed)}"
    bad = [host for host in hosts if not names.is_segment(host) or not host.isprintable()]
    return f"{excerpt(bad[0])} is not the name of a node" if bad else ""


def _contradictions(lines: list[HostLine]) -> Iterator[str]:
    """What no two lines may say of the same node."""
    first: dict[str, HostLine] = {}
    twice = Counter(line.source for line in lines)
    for line in lines:
        known = first.setdefault(line.target, line)
        if known.is_seed != line.is_seed:
            yield f"line {line.number}: {line.target} is a seed or not, and line {known.number} says the other"
    for source, times in sorted(twice.items()):
        if times > 1:
            where = ", ".join(str(line.number) for line in lines if line.source == source)
            yield f"lines {where}: {source} is restored more than once"
