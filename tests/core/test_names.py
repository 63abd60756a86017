"""Which names may become part of a key; each refusal avoids a defect of stock."""

from __future__ import annotations

import pytest

from backupstore.core import names
from backupstore.errors import Refused

GOOD_BACKUPS = ["202611230215", "daily-2026.11.23", "a", "A:b_c", "x" * 128, "my-data", "mynode"]
BAD_BACKUPS = {
    "": "letters",
    "x" * 129: "at most 128",
    "-a": "beginning with",
    "a/b": "letters",
    "a b": "letters",
    "é": "letters",
    "..": "letters",
    "data-2026": "begin with 'data'",
    "index": "index",
    "meta": "meta",
    "my-differential": "contain 'differential'",
    "incremental1": "contain 'incremental'",
    "xtokenmap": "contain 'tokenmap'",
    "schema": "contain 'schema'",
    "manifest": "contain 'manifest'",
    "started": "contain 'started'",
    "finished": "contain 'finished'",
    "all-nodes": "end in 'nodes'",
}


@pytest.mark.parametrize("name", GOOD_BACKUPS)
def test_a_good_name_of_a_backup(name: str) -> None:
    assert names.check_backup_name(name) == name


@pytest.mark.parametrize(("name", "reason"), BAD_BACKUPS.items())
def test_a_bad_name_of_a_backup(name: str, reason: str) -> None:
    with pytest.raises(Refused, match=reason) as refused:
        names.check_backup_name(name)
    assert refused.value.hint


@pytest.mark.parametrize("name", ["n1", "10.0.0.1", "fe80::1", "db-1.example.com", "my_db1", "data"[:3]])
def test_a_good_name_of_a_node(name: str) -> None:
    assert names.check_node_name(name, "prefix") == name


@pytest.mark.parametrize(
    "name",
    ["", "index", "prefix", "a/b", ".a", "tokenmap_1", "x_started_y", "a.json.b", "a.cql", "a.txt", "a.timestamp"],
)
def test_a_bad_name_of_a_node(name: str) -> None:
    with pytest.raises(Refused):
        names.check_node_name(name, "prefix")


@pytest.mark.parametrize(
    ("prefix", "good"), [("", True), ("pp", True), ("p", False), ("a/b", False), ("index", False), ("-", False)]
)
def test_prefixes(prefix: str, *, good: bool) -> None:
    assert (not names.prefix_problems(prefix)) == good


def test_names_that_begin_with_each_other_are_neighbours() -> None:
    assert names.neighbours("d1", ["d1", "d10", "d", "e1"]) == ("d", "d10")
