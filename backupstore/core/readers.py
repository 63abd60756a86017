"""Who may read what: which principal may list, and read, below which prefix.

``READERS`` stands beside ``WRITERS``: the memory store enforces both in every test, and the permissions that an operator
gives to each credential are both of them in the words of the provider.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from backupstore.core.layout import ANNOUNCED, Layout
from backupstore.core.patterns import lies_below
from backupstore.core.writers import Principal


class Look(Enum):
    """How something is looked at: names and sizes in a listing, or what an object holds."""

    LIST = "list"
    READ = "read"


@dataclass(frozen=True, slots=True)
class Sight:
    """One principal may look like this at what lies below ``pattern``, a pattern of ``core.patterns``."""

    principal: Principal
    pattern: str
    looks: frozenset[Look]

    def covers(self, key: str, layout: Layout, node: str) -> bool:
        """Whether the key, or the folder to be listed, lies below the pattern."""
        return lies_below(self.pattern, key, layout, node)


_LIST = frozenset({Look.LIST})
_READ = frozenset({Look.READ})
_BOTH = frozenset(Look)
_EVERYWHERE = ""
"""Who looks for the clusters of a bucket lists its first level; and names tell less than what the objects hold."""
_META = "{P}{N}/{N}/meta/"

READERS: tuple[Sight, ...] = (
    Sight(Principal.SHIPPER, "{P}{F}/", _BOTH),
    Sight(Principal.SHIPPER, "{P}index/condemned/{F}/", _BOTH),
    Sight(Principal.SHIPPER, "{P}index/catalog/", _READ),
    Sight(Principal.SHIPPER, "{P}index/holds/", _READ),
    Sight(Principal.SHIPPER, "{P}index/commands/{F}.json", _READ),
    Sight(Principal.SHIPPER, "{P}index/jobs/over/", _READ),
    Sight(Principal.SHIPPER, ANNOUNCED + "{-}/{F}/", _READ),
    Sight(Principal.INDEXER, _EVERYWHERE, _LIST),
    Sight(Principal.INDEXER, _META, _READ),
    Sight(Principal.INDEXER, "{P}index/backup_index/", _READ),
    Sight(Principal.INDEXER, "{P}index/catalog/", _READ),
    Sight(Principal.INDEXER, "{P}index/findings/", _READ),
    Sight(Principal.INDEXER, "{P}index/latest_backup/", _READ),
    Sight(Principal.VERIFY, _EVERYWHERE, _LIST),
    Sight(Principal.VERIFY, "{P}", _READ),
    Sight(Principal.PURGE, _EVERYWHERE, _LIST),
    Sight(Principal.PURGE, _META, _READ),
    Sight(Principal.PURGE, "{P}index/accepted_rings/", _READ),
    Sight(Principal.PURGE, "{P}index/catalog/", _READ),
    Sight(Principal.PURGE, "{P}index/condemned/", _READ),
    Sight(Principal.PURGE, "{P}index/findings/", _READ),
    Sight(Principal.PURGE, "{P}index/holds/", _READ),
    Sight(Principal.PURGE, "{P}index/jobs/turn.json", _READ),
    Sight(Principal.PURGE, "{P}index/purged/", _READ),
    Sight(Principal.PURGE, "{P}index/purges/", _READ),
    Sight(Principal.REPORT, _EVERYWHERE, _LIST),
    Sight(Principal.REPORT, "{P}index/catalog/", _READ),
    Sight(Principal.REPORT, "{P}index/jobs/", _READ),
    Sight(Principal.REPORT, "{P}index/purges/", _READ),
    Sight(Principal.COORDINATOR, _EVERYWHERE, _LIST),
    Sight(Principal.COORDINATOR, "{P}index/commands/", _READ),
    Sight(Principal.COORDINATOR, "{P}index/condemned/", _READ),
    Sight(Principal.COORDINATOR, "{P}index/holds/", _READ),
    Sight(Principal.COORDINATOR, "{P}index/jobs/", _READ),
    Sight(Principal.OPERATOR, _EVERYWHERE, _LIST),
    Sight(Principal.OPERATOR, _META, _READ),
    Sight(Principal.OPERATOR, "{P}index/", _READ),
)


def may_look(principal: Principal, look: Look, key: str, *, layout: Layout, node: str = "") -> bool:
    """Whether some line of the table allows it; of a listing, ``key`` is the folder, empty for the whole bucket."""
    return any(
        sight.principal is principal and look in sight.looks and sight.covers(key, layout, node) for sight in READERS
    )
