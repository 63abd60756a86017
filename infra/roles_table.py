"""Roles: what each credential may do in the bucket, from the tables of who may write and read what.

A *role* is what one credential needs, which may be more than its principal's lines: the purge function also keeps the catalog
up to date, and so has what the indexer may write as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from backupstore.core.layout import OWN_AREAS
from backupstore.core.readers import READERS, Look
from backupstore.core.writers import WRITERS, Principal, Verb

NODES = "{P}{N}/"
"""The folders of all nodes: in the words of both clouds ``index`` is among them, unless that is taken back."""

_CATALOG = ("{P}index/catalog/",)
_LIST = ("backup_index", "catalog", "latest_backup")
_JOBS = ("nodes/", "over/", "records/", "requests/", "turn.json")


@dataclass(frozen=True, slots=True)
class Role:
    """What one credential may do: patterns of keys, as in ``backupstore.core.patterns``, each list sorted.

    ``create_denied`` and ``delete_denied``: what would otherwise be included where ``{N}`` is spelled as a wildcard.
    """

    list: tuple[str, ...]
    read: tuple[str, ...]
    create: tuple[str, ...]
    overwrite: tuple[str, ...]
    delete: tuple[str, ...]
    create_denied: tuple[str, ...]
    delete_denied: tuple[str, ...]

    def written(self) -> tuple[str, ...]:
        """Where it may create or overwrite."""
        return _least({*self.create, *self.overwrite})

    def create_only(self) -> tuple[str, ...]:
        """Where it may create, and not overwrite."""
        return tuple(pattern for pattern in self.create if pattern not in self.overwrite)


@dataclass(frozen=True, slots=True)
class _Made:
    """Of which principals' lines a role is made.

    ``lent``: of the indexer's, those of these folders. ``shared``: by all nodes, so that it may do what any of them may.
    """

    principal: Principal
    lent: tuple[str, ...] = ()
    shared: bool = False

    def has(self, principal: Principal, pattern: str) -> bool:
        """Whether this line of a table is among what the role is made of."""
        return principal is self.principal or (principal is Principal.INDEXER and pattern in self.lent)


_ROLES: Mapping[str, _Made] = {
    "node": _Made(Principal.SHIPPER),
    "nodes": _Made(Principal.SHIPPER, shared=True),
    "indexer": _Made(Principal.INDEXER),
    "purge": _Made(Principal.PURGE, tuple(f"{{P}}index/{area}/" for area in _LIST)),
    "verify": _Made(Principal.VERIFY, _CATALOG),
    "report": _Made(Principal.REPORT),
    "coordinator": _Made(Principal.COORDINATOR),
    "operator": _Made(Principal.OPERATOR),
}


def roles() -> dict[str, Role]:
    """All of them by name."""
    return {name: _role(made) for name, made in _ROLES.items()}


def _role(made: _Made) -> Role:
    sights = [each for each in READERS if made.has(each.principal, each.pattern)]
    grants = [each for each in WRITERS if made.has(each.principal, each.pattern)]
    name = "{N}" if made.shared else "{F}"
    looks = {look: _least(each.pattern.replace("{F}", name) for each in sights if look in each.looks) for look in Look}
    verbs = {verb: _least(each.pattern.replace("{F}", name) for each in grants if verb in each.verbs) for verb in Verb}
    written = _least({*verbs[Verb.CREATE], *verbs[Verb.OVERWRITE]})
    return Role(
        list=looks[Look.LIST],
        read=looks[Look.READ],
        create=verbs[Verb.CREATE],
        overwrite=verbs[Verb.OVERWRITE],
        delete=verbs[Verb.DELETE],
        create_denied=_denied(written),
        delete_denied=_denied(verbs[Verb.DELETE]),
    )


def _least(patterns: Iterable[str]) -> tuple[str, ...]:
    """Sorted, without those that lie below another one."""
    every = set(patterns)
    return tuple(sorted(one for one in every if not any(one != other and one.startswith(other) for other in every)))


def _denied(allowed: tuple[str, ...]) -> tuple[str, ...]:
    """What lies below ``index`` and is not among what is allowed, where the folders of all nodes are."""
    if NODES not in allowed:
        return ()
    areas = {f"{{P}}index/{area}/" for area in (*_LIST, *OWN_AREAS - {"jobs"})}
    areas |= {f"{{P}}index/jobs/{part}" for part in _JOBS}
    below = [pattern.replace("{N}/", "") for pattern in allowed if pattern != NODES]
    return tuple(sorted(area for area in areas if not any(area.startswith(one) for one in below)))


def table() -> dict[str, dict[str, tuple[str, ...]]]:
    """All roles as both ``roles.json`` have them."""
    return {name: {field: getattr(role, field) for field in Role.__slots__} for name, role in roles().items()}
