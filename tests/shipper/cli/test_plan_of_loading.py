"""What is told of a schema before anything is loaded: what goes, and what comes after the rows."""

from __future__ import annotations

import pytest

from backupstore.core.schema_plan import Asked, SchemaPlan, plan_schema
from backupstore.core.schema_statements import read_schema
from backupstore.core.topology import Ring
from backupstore.errors import Refused
from shipper.cli.cluster_effects import loaded_text
from shipper.cli.cluster_plan_text import schema_text
from shipper.cli.cluster_target import Target
from tests.core.cql_samples import DESCRIBED


def plan() -> SchemaPlan:
    return plan_schema(read_schema(DESCRIBED), read_schema(""), {"dc1": 3}, Asked())


def test_indexes_that_wait_for_the_rows_are_told() -> None:
    said = list(loaded_text(plan(), auto_snapshot=True))
    assert "Made when all rows are loaded, and then built by each node: 1 storage attached index, shop.by_tags." in said
    without = SchemaPlan(plan().steps)
    assert not any("Made when" in line for line in loaded_text(without, auto_snapshot=True))


def test_what_becomes_of_keyspaces_and_other_tables_is_told_in_sentences() -> None:
    told = ("the keyspace shop asks for 3 replicas in dc1, which has 1 node: add nodes", "shop.stays stays as it is")
    said = list(loaded_text(SchemaPlan((), told), auto_snapshot=True))
    assert said == [f"Schema: {line}." for line in told]


def test_their_statements_are_shown_after_the_others() -> None:
    lines = schema_text(plan())
    last = lines.index("And 1 when all rows are loaded:")
    assert lines[1] == f"One node runs {len(plan().steps)} statements first:"
    assert [line for line in lines[last + 1 :] if "by_tags" in line] == lines[last + 1 :]
    assert not any("by_tags" in line for line in lines[:last])


def test_a_target_that_is_older_than_the_backup_is_refused_before_anybody_is_asked() -> None:
    target = Target(Ring(()), frozenset(), "", release="4.1.9")
    assert target.check_release(["4.1.3", "unknown"]) == ()
    assert ["the target runs 4.1.9" in line for line in target.check_release(["4.0.1", "4.0.1"])] == [True]
    with pytest.raises(Refused, match=r"of Cassandra 5\.0\.6, and the target runs 4\.1\.9"):
        target.check_release(["4.1.3", "5.0.6"])
    assert Target(Ring(()), frozenset(), "").check_release(["5.0.6"]) == ()
