"""The grammar goes both ways, keys of different kinds never meet, and hostile ones are nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backupstore.core.key_parsing import data_key, parse, parse_in
from backupstore.core.keys import DataKey, Key, MetaKey, Parsed
from backupstore.core.layout import Layout
from backupstore.core.writers import Principal, Verb, may_write
from tests.core.strategies import backups, build, data_keys, keys, layouts, nodes


@given(layouts, keys)
def test_what_is_built_is_parsed(layout: Layout, key: Key) -> None:
    assert parse_in(layout, build(layout, key)) == key


@given(layouts, keys.filter(lambda key: not isinstance(key, DataKey)))
def test_whose_a_key_is_can_be_told_from_the_key_alone(layout: Layout, key: Key) -> None:
    assert parse(build(layout, key)) == Parsed(layout.prefix, key)


@given(layouts, keys, keys)
def test_different_keys_have_different_texts(layout: Layout, one: Key, other: Key) -> None:
    assert (build(layout, one) == build(layout, other)) == (one == other)


@given(layouts, data_keys)
def test_data_of_a_node_is_data(layout: Layout, key: DataKey) -> None:
    assert data_key(layout, layout.data(key)) == key


@given(layouts, backups)
def test_the_catalog_names_what_it_holds(layout: Layout, backup: str) -> None:
    assert layout.catalog_name(layout.catalog_backup(backup)) == backup


@pytest.mark.parametrize(
    "key", ["index/catalog/backups/.json", "index/catalog/backups/a/b.json", "index/catalog/backups/a", "x"]
)
def test_other_keys_in_the_catalog_name_nothing(key: str) -> None:
    assert Layout().catalog_name(key) is None


HOSTILE = [
    "",
    "/",
    "n1",
    "n1//meta/schema.cql",
    "/n1/b/meta/schema.cql",
    "n1/../meta/schema.cql",
    "n1/b/./schema.cql",
    "n1/b\x00/meta/schema.cql",
    "n1/b/meta/sub/schema.cql/x",
    "n1/b/meta",
    "n1/b/meta/",
    "index/backup_index/b/foo.json",
    "index/backup_index/b/tokenmap_n1.cql",
    "index/backup_index/b/started_n1_x.timestamp",
    "index/backup_index/b/started_n1_1234567890123.timestamp",
    "index/backup_index/tokenmap_n1.json",
    "index/backup_index_v2/b/tokenmap_n1.json",
    "index/announced/-/n1/b/stolen",
    "index/announced/-/n1/started",
    "index/unknown/x",
    "index/catalog",
]


@pytest.mark.parametrize("key", HOSTILE)
def test_a_hostile_key_is_nothing(key: str) -> None:
    assert parse(key) is None
    assert parse_in(Layout(), key) is None


@given(st.text(max_size=60))
def test_any_text_is_parsed_or_refused(key: str) -> None:
    parsed = parse(key)
    assert parsed is None or parse_in(Layout(parsed.prefix), key) == parsed.key


BAD_DATA = [
    "p/n1/data/ks/t/../../../../etc/passwd",
    "/etc/passwd",
    "p/n1/data/ks/t/..",
    "p/n1/data/ks/t/a\x00b",
    "p/n1/data/ks/t/a/b/c",
    "p/n1/data/k s/t/a",
    "p/n1/data/ks/t-xyz/a",
    "p/n1/data/ks/t/hidden/a",
    "p/n1/data/ks/t/.hidden",
    "p/n1/meta/schema.cql",
    "q/n1/data/ks/t/a-Data.db",
    "n1/data/ks/t/a-Data.db",
    "p/index/data/ks/t/a-Data.db",
]


@pytest.mark.parametrize("key", BAD_DATA)
def test_what_cassandra_could_not_have_made_is_no_data(key: str) -> None:
    assert data_key(Layout("p"), key) is None


def test_attempts_are_numbered() -> None:
    assert MetaKey("n", "b", "attempt-12.json").attempt == 12
    assert MetaKey("n", "b", "attempt-012.json").attempt is None


@given(layouts, nodes)
def test_probes_are_no_keys_of_anything(layout: Layout, node: str) -> None:
    for key in (layout.node_probe(node), layout.announced_probe(node)):
        assert parse(key) is None
        assert parse_in(layout, key) is None


@given(layouts, nodes)
def test_a_shipper_may_write_the_probes(layout: Layout, node: str) -> None:
    for key in (layout.node_probe(node), layout.announced_probe(node), layout.hold_probe()):
        assert may_write(Principal.SHIPPER, Verb.CREATE, key, layout=layout, node=node)
        assert not may_write(Principal.SHIPPER, Verb.OVERWRITE, key, layout=layout, node=node)
