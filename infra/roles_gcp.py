"""Roles in Google's words: for each permission the conditions under which it is given.

On Google nobody overwrites an object without the right to delete it, so what a role overwrites stands among what it deletes.
In the expressions ``{BUCKET}`` is the bucket's name; the other words are those of ``backupstore.core.patterns``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from infra.roles_table import NODES, Role

MOST_OPERATORS = 12
"""Of ``&&``, ``||`` and ``!`` in one condition: more of them are refused."""

_OBJECTS = "projects/_/buckets/{BUCKET}/objects/"
_PREFIX = 'api.getAttribute("storage.googleapis.com/objectListPrefix", "")'


@dataclass(frozen=True, slots=True)
class Binding:
    """A permission, and on what condition it is given; an empty one is none."""

    permission: str
    expression: str


def bindings(role: Role) -> list[Binding]:
    """What a role is given; a permission stands in several of them where one condition would be too long."""
    deleted = tuple(sorted({*role.delete, *role.overwrite}))
    wanted = {
        "storage.objects.list": [_listed(pattern) for pattern in role.list],
        "storage.objects.get": [_named(pattern) for pattern in role.read],
        "storage.objects.create": [_named(pattern) for pattern in role.written()],
        "storage.objects.delete": [_named(pattern) for pattern in deleted],
    }
    return [Binding(permission, text) for permission, terms in wanted.items() for text in _joined(terms)]


def operators(expression: str) -> int:
    """How many logical operators it has, as Google counts them."""
    return expression.count("||") + expression.count("&&") + expression.replace("!=", "").count("!")


def _joined(terms: list[str]) -> Iterator[str]:
    if "" in terms:
        yield ""
        return
    chosen = ""
    for term in terms:
        longer = f"{chosen} || {term}" if chosen else term
        if operators(longer) > MOST_OPERATORS:
            yield chosen
            longer = term
        chosen = longer
    if chosen:
        yield chosen


def _listed(pattern: str) -> str:
    return _below(_PREFIX, "", pattern) if pattern else ""


def _named(pattern: str) -> str:
    return _below("resource.name", _OBJECTS, pattern)


def _below(name: str, root: str, pattern: str) -> str:
    """Whether a name lies below the pattern. An expression knows no wildcards: each use of them has its own form."""
    start, _, rest = pattern.partition("{N}")
    below = f'{name}.startsWith("{root}{start}")'
    if pattern == NODES:
        return f'({below} && !{name}.startsWith("{root}{start}index/"))'
    if "{N}" not in rest:
        return below
    return f'({below} && {name}.extract("/objects/{start}{{names}}{rest.replace("/{N}", "")}") != "")'
