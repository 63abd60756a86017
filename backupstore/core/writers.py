"""Who may write what: which principal may do what below which prefix.

``WRITERS`` is the one table of it. The memory store enforces it in every test, and the permissions that an operator gives
to each credential are the same table in the words of the provider.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from backupstore.core.layout import ANNOUNCED, Layout
from backupstore.core.patterns import lies_below


class Principal(Enum):
    """Who writes to the bucket; one credential each."""

    SHIPPER = "shipper"
    INDEXER = "indexer"
    PURGE = "purge"
    VERIFY = "verify"
    REPORT = "report"
    COORDINATOR = "coordinator"
    OPERATOR = "operator"


class Verb(Enum):
    """What a write does to the key."""

    CREATE = "create"
    OVERWRITE = "overwrite"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Grant:
    """One principal may do these things to keys that lie below ``pattern``, a pattern of ``core.patterns``."""

    principal: Principal
    pattern: str
    verbs: frozenset[Verb]

    def covers(self, key: str, layout: Layout, node: str) -> bool:
        """Whether the key lies below the pattern."""
        return lies_below(self.pattern, key, layout, node)


_CREATE = frozenset({Verb.CREATE})
_DELETE = frozenset({Verb.DELETE})
_OVERWRITE = frozenset({Verb.OVERWRITE})
_ANY = frozenset(Verb)

WRITERS: tuple[Grant, ...] = (
    Grant(Principal.SHIPPER, "{P}{F}/", _CREATE),
    Grant(Principal.SHIPPER, ANNOUNCED + "{-}/{F}/", _CREATE),
    Grant(Principal.SHIPPER, "{P}index/holds/", _CREATE),
    Grant(Principal.SHIPPER, "{P}index/jobs/nodes/{F}/", _CREATE),
    Grant(Principal.INDEXER, "{P}index/backup_index/", _ANY),
    Grant(Principal.INDEXER, "{P}index/latest_backup/", _ANY),
    Grant(Principal.INDEXER, "{P}index/catalog/", _ANY),
    Grant(Principal.VERIFY, "{P}index/findings/", _ANY),
    Grant(Principal.VERIFY, "{P}index/verifying/", _ANY),
    Grant(Principal.PURGE, "{P}index/condemned/{N}/", _CREATE | _DELETE),
    Grant(Principal.PURGE, "{P}{N}/", _DELETE),
    Grant(Principal.PURGE, "{P}index/backup_index/", _DELETE),
    Grant(Principal.PURGE, ANNOUNCED + "{-}/{N}/", _DELETE),
    Grant(Principal.PURGE, "{P}index/purges/", _ANY),
    Grant(Principal.PURGE, "{P}index/purged/", _ANY),
    Grant(Principal.PURGE, "{P}index/jobs/over/", _DELETE),
    Grant(Principal.OPERATOR, "{P}index/holds/", _CREATE | _DELETE),
    Grant(Principal.OPERATOR, "{P}index/accepted_rings/", _CREATE),
    Grant(Principal.OPERATOR, "{P}index/jobs/requests/", _CREATE),
    Grant(Principal.COORDINATOR, "{P}index/jobs/records/", _ANY),
    Grant(Principal.COORDINATOR, "{P}index/jobs/turn.json", _CREATE | _OVERWRITE),
    Grant(Principal.COORDINATOR, "{P}index/jobs/over/", _CREATE),
    Grant(Principal.COORDINATOR, "{P}index/jobs/requests/", _DELETE),
    Grant(Principal.COORDINATOR, "{P}index/jobs/nodes/", _DELETE),
    Grant(Principal.COORDINATOR, "{P}index/commands/", _CREATE | _OVERWRITE),
    Grant(Principal.COORDINATOR, "{P}index/holds/", _CREATE),
)


def may_write(principal: Principal, verb: Verb, key: str, *, layout: Layout, node: str = "") -> bool:
    """Whether some grant allows it."""
    return any(
        grant.principal is principal and verb in grant.verbs and grant.covers(key, layout, node) for grant in WRITERS
    )
