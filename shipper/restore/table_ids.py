"""Which tables and views a node has, with the ids that their directories are called by."""

from __future__ import annotations

from uuid import UUID

from backupstore.core.schema_statements import Name
from shipper.restore.port import Service

_SELECTS = (
    "SELECT keyspace_name, table_name, id FROM system_schema.tables",
    "SELECT keyspace_name, view_name, id FROM system_schema.views",
)


def read_ids(service: Service) -> dict[Name, str]:
    """32 hex digits each; Cassandra's own tables among them."""
    rows = (row for select in _SELECTS for row in service.query(select))
    return {(str(keyspace), str(name)): UUID(str(table_id)).hex for keyspace, name, table_id in rows}
