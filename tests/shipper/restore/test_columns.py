"""Columns of a table as it was and as it is: which differences would lose rows without a word."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backupstore.core.schema_statements import Table, read_schema
from shipper.restore.columns import column_problems

BEFORE = "CREATE TABLE k.t (a int, b text, c int, s int static, v text, w list<int>, PRIMARY KEY ((a, b), c))"


def table(text: str) -> Table:
    return read_schema(text).tables["k", "t"]


def problems(now: str, before: str = BEFORE) -> tuple[str, ...]:
    return column_problems(table(before), table(now))


def test_the_same_and_what_has_only_grown() -> None:
    assert problems(BEFORE) == ()
    assert problems(BEFORE.replace("v text", "v text, x int, y int static")) == ()
    assert problems(BEFORE.replace("v text", '"v" varchar').replace("list<int>", "list < int >")) == ()


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("v text, ", "", "the column v text is missing"),
        ("v text", "v blob", "the column v is of type blob, and was of text"),
        ("w list<int>", "w frozen<list<int>>", "the column w is of type frozen<list<int>>, and was of list<int>"),
        ("v text", '"V" text', "the column v text is missing"),
        ("s int static", "s int", "the column s is not static, and was static"),
        ("v text", "v text static", "the column v is static, and was not static"),
    ],
)
def test_values(old: str, new: str, why: str) -> None:
    assert problems(BEFORE.replace(old, new)) == (why,)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("((a, b), c)", "(a, b, c)"),
        ("((a, b), c)", "((b, a), c)"),
        ("((a, b), c)", "((a, b))"),
        ("a int", "a bigint"),
        ("c int", "c text"),
        ("PRIMARY KEY ((a, b), c))", "PRIMARY KEY ((a, b), c)) WITH CLUSTERING ORDER BY (c DESC)"),
    ],
)
def test_keys(old: str, new: str) -> None:
    (first, *_) = problems(BEFORE.replace(old, new))
    assert first.startswith("its key is ((")
    assert first.endswith("and was ((a int, b text), c int)")


class TestDropped:
    """As the server tells of them: created with the table, and dropped behind it."""

    DROP = "; ALTER TABLE k.t DROP v USING TIMESTAMP 100"
    ADD = "; ALTER TABLE k.t ADD v text"

    def test_since(self) -> None:
        assert problems(BEFORE + self.DROP) == ("the column v text is missing",)

    def test_and_added_again_since(self) -> None:
        assert problems(BEFORE + self.DROP + self.ADD) == (
            "the column v was dropped and added again since: its values in the backup would stay hidden",
        )

    def test_and_added_again_before(self) -> None:
        assert problems(BEFORE + self.DROP + self.ADD, BEFORE + self.DROP + self.ADD) == ()

    def test_and_added_again_before_and_once_more_since(self) -> None:
        again = BEFORE + self.DROP.replace("100", "200") + self.ADD
        assert len(problems(again, BEFORE + self.DROP + self.ADD)) == 1

    def test_before_and_known(self) -> None:
        assert problems(BEFORE + self.DROP, BEFORE + self.DROP) == ()

    @pytest.mark.parametrize("now", [BEFORE, BEFORE.replace("v text, ", "")])
    def test_before_and_the_table_was_created_again_without(self, now: str) -> None:
        assert problems(now, BEFORE + self.DROP) == (
            "the column v was dropped before the backup, and the table does not know of it",
        )


_TYPES = st.sampled_from(("int", "text", "frozen<list<int>>"))
_COLUMNS = st.dictionaries(st.sampled_from("vwxyz"), _TYPES, max_size=5)


@given(_COLUMNS, _COLUMNS)
def test_nothing_is_said_exactly_when_every_column_is_still_there(before: dict[str, str], now: dict[str, str]) -> None:
    def text(columns: dict[str, str]) -> str:
        return f"CREATE TABLE k.t (k int PRIMARY KEY{''.join(f', {name} {kind}' for name, kind in columns.items())})"

    lost = {name for name, kind in before.items() if now.get(name) != kind}
    assert len(problems(text(now), text(before))) == len(lost)
