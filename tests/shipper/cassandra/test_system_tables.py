"""Rows of the system tables that a healthy ring does not show."""

from __future__ import annotations

import uuid
from types import SimpleNamespace

import pytest

from backupstore.errors import NodeTrouble
from shipper.cassandra.schema_text import described, exported
from shipper.cassandra.system_tables import identity_of, members_of, truncations_of, versions_of
from shipper.cassandra.wire import Address

OWN = uuid.UUID(int=1)


def local(**other: object) -> SimpleNamespace:
    row = {
        "host_id": OWN,
        "cluster_name": "shop",
        "broadcast_address": "192.0.2.1",
        "rpc_address": "10.0.0.1",
        "rpc_port": 9042,
        "data_center": "dc1",
        "rack": "r1",
        "release_version": "5.0.6",
        "tokens": ["-5", "3"],
        "truncated_at": None,
        "schema_version": uuid.UUID(int=7),
    }
    return SimpleNamespace(**{**row, **other})


def peer(number: int, **other: object) -> SimpleNamespace:
    row = {
        "host_id": uuid.UUID(int=number),
        "native_address": f"10.0.0.{number}",
        "native_port": 9042,
        "data_center": "dc1",
        "rack": "r1",
        "tokens": [str(number)],
        "schema_version": uuid.UUID(int=7),
    }
    return SimpleNamespace(**{**row, **other})


def test_a_node_says_who_it_is() -> None:
    found = identity_of([local()])
    assert (found.host_id, found.address, found.tokens) == (str(OWN), "192.0.2.1", (-5, 3))
    assert found.server_type == "cassandra"
    assert identity_of([local(dse_version="6.8")]).server_type == "dse"


@pytest.mark.parametrize("field", ["host_id", "data_center", "rack", "tokens", "rpc_address"])
def test_a_node_that_is_joining_gives_no_half_answer(field: str) -> None:
    with pytest.raises(NodeTrouble, match="does not know"):
        identity_of([local(**{field: None})])
    with pytest.raises(NodeTrouble, match="does not know"):
        identity_of([])


def test_leftovers_of_dead_nodes_are_no_members() -> None:
    peers = [
        peer(3),
        peer(2),
        peer(1, native_address="10.0.0.99"),
        *(peer(9, **{field: None}) for field in ("host_id", "native_address", "data_center", "rack", "tokens")),
    ]
    found = members_of([local()], peers, lambda host_id, address: f"{address}/{host_id[-1]}")
    assert [(each.name, each.tokens, each.is_up) for each in found] == [
        ("10.0.0.1/1", (-5, 3), True),
        ("10.0.0.2/2", (2,), None),
        ("10.0.0.3/3", (3,), None),
    ]


def test_leftovers_of_dead_nodes_have_no_say_in_the_schema() -> None:
    old = uuid.UUID(int=6)
    peers = [
        peer(2),
        peer(3, schema_version=old),
        peer(9, tokens=None, schema_version=old),
        peer(1, schema_version=old),
    ]
    assert versions_of([local()], peers) == {
        Address("10.0.0.1", 9042): str(uuid.UUID(int=7)),
        Address("10.0.0.2", 9042): str(uuid.UUID(int=7)),
        Address("10.0.0.3", 9042): str(old),
    }


def test_times_of_truncations_are_read() -> None:
    blob = bytes.fromhex("000001a2066003f80000a93f000001a2066108ff")
    assert truncations_of([local(truncated_at={OWN: blob})]) == {str(OWN): 1795403352.319}
    assert truncations_of([local()]) == {}
    with pytest.raises(NodeTrouble, match="truncated_at"):
        truncations_of([local(truncated_at={OWN: b"short"})])


def test_statements_lose_their_quotes_but_not_their_text() -> None:
    rows = [
        SimpleNamespace(keyspace_name='"Mixed"', type="table", name='"a""b"', create_statement="CREATE …; ALTER …;"),
        SimpleNamespace(keyspace_name="shop", type="materialized_view", name="v", create_statement="CREATE 2;"),
        SimpleNamespace(keyspace_name="shop", type="function", name='"F"(int)', create_statement="CREATE 3;"),
    ]
    schema = described("export", rows)
    assert [(each.keyspace, each.kind, each.name) for each in schema.statements] == [
        ("Mixed", "table", 'a"b'),
        ("shop", "view", "v"),
        ("shop", "function", '"F"(int)'),
    ]
    assert schema.described == "CREATE …; ALTER …;\n\nCREATE 2;\n\nCREATE 3;\n"


def test_the_export_leaves_traces_out() -> None:
    keyspaces = {name: SimpleNamespace(export_as_string=lambda name=name: name) for name in ("system_traces", "b", "a")}
    assert exported(keyspaces) == "b\n\na"
