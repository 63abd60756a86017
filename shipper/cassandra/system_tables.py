"""From rows of ``system.local`` and ``system.peers_v2`` to who the node is, who is in its ring, what was truncated.

Rows of peers without a host id, an address, a place or tokens are leftovers of replaced or dropped nodes; no client
takes them for members, and neither do we. Only the node itself is known to be up: what it thinks of its peers stands
in no table.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

from backupstore.errors import NodeTrouble
from shipper.cassandra.port import Identity, Member
from shipper.cassandra.wire import Address

# The driver ships no types.
Row: TypeAlias = Any

# A position in the commit log (segment, offset) and milliseconds since the epoch.
_TRUNCATION = struct.Struct(">qiq")


def identity_of(local: Sequence[Row]) -> Identity:
    """Who the node is. NodeTrouble when it does not know that yet."""
    row = _own(local)
    return Identity(
        host_id=str(row.host_id),
        cluster=str(row.cluster_name),
        address=str(row.broadcast_address),
        dc=str(row.data_center),
        rack=str(row.rack),
        release_version=str(row.release_version),
        server_type="dse" if hasattr(row, "dse_version") else "cassandra",
        tokens=_tokens(row.tokens),
    )


def members_of(local: Sequence[Row], peers: Iterable[Row], name_of: Callable[[str, str], str]) -> tuple[Member, ...]:
    """Every member, the node itself included, sorted by name; ``name_of`` gets host id and address for clients."""
    own = _own(local)
    host_id, address = str(own.host_id), str(own.rpc_address)
    found = [
        Member(name_of(host_id, address), address, host_id, own.data_center, own.rack, _tokens(own.tokens), is_up=True)
    ]
    for row in peers:
        if _is_member(row, own):
            host_id, address = str(row.host_id), str(row.native_address)
            name = name_of(host_id, address)
            found.append(Member(name, address, host_id, row.data_center, row.rack, _tokens(row.tokens), is_up=None))
    return tuple(sorted(found, key=lambda member: (member.name, member.host_id)))


def versions_of(local: Sequence[Row], peers: Iterable[Row]) -> dict[Address, str]:
    """Where each member listens for clients, the node itself first → the version of the schema that it is known to have."""
    own = _own(local)
    found = {Address(str(own.rpc_address), own.rpc_port): str(own.schema_version)}
    others = (row for row in peers if _is_member(row, own))
    return found | {Address(str(row.native_address), row.native_port): str(row.schema_version) for row in others}


def truncations_of(local: Sequence[Row]) -> dict[str, float]:
    """When tables were truncated last, by id of the table: epoch seconds."""
    times = _first(local).truncated_at or {}
    return {str(table): _truncation(blob) for table, blob in times.items()}


def _truncation(blob: bytes) -> float:
    try:
        _, _, milliseconds = _TRUNCATION.unpack(blob)
    except struct.error as error:
        raise NodeTrouble(
            "system.local.truncated_at is not written as in Cassandra 4.0 to 5.0.",
            hint="When tables were truncated cannot be told on this version of Cassandra. Please report it.",
            operation="cql",
        ) from error
    return float(milliseconds) / 1000


def _is_member(row: Row, own: Row) -> bool:
    """Whether a row of peers is another node, and not what is left of one."""
    return all((row.host_id, row.native_address, row.data_center, row.rack, row.tokens)) and row.host_id != own.host_id


def _own(local: Sequence[Row]) -> Row:
    """The row of a node that has joined: these columns are written while it does."""
    row = _first(local)
    if not all((row.host_id, row.data_center, row.rack, row.tokens, row.rpc_address)):
        raise _unfinished()
    return row


def _first(local: Sequence[Row]) -> Row:
    if not local:
        raise _unfinished()
    return local[0]


def _unfinished() -> NodeTrouble:
    return NodeTrouble(
        "The node does not know its host id, place or tokens yet.",
        hint="It is still joining the ring; wait until 'nodetool status' shows it as UN.",
        operation="cql",
    )


def _tokens(tokens: Iterable[str]) -> tuple[int, ...]:
    return tuple(int(token) for token in tokens)
