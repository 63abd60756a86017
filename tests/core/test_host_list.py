"""The host list: stock's file as it is, and mistakes with the numbers of their lines."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backupstore.core.host_list import HostLine, parse_host_list
from backupstore.errors import Refused

STOCKS = """True,new_node1.foo.net,old_node1.foo.net
True,new_node2.foo.net,old_node2.foo.net
False,new_node3.foo.net,old_node3.foo.net
"""


def test_the_sample_of_stocks_manual() -> None:
    assert parse_host_list(STOCKS, ",", "f") == (
        HostLine(1, "new_node1.foo.net", "old_node1.foo.net", is_seed=True),
        HostLine(2, "new_node2.foo.net", "old_node2.foo.net", is_seed=True),
        HostLine(3, "new_node3.foo.net", "old_node3.foo.net", is_seed=False),
    )


def test_comments_empty_lines_blanks_and_windows_ends_of_lines() -> None:
    text = "\ufeff# seed?, target, source\r\n\r\n true , x , n1 \r\n  # more\r\nFALSE,y,n2"
    assert parse_host_list(text, ",", "f") == (
        HostLine(3, "x", "n1", is_seed=True),
        HostLine(5, "y", "n2", is_seed=False),
    )


@pytest.mark.parametrize("separator", [";", "|", "\t", "::"])
def test_the_separator_is_as_it_is_set(separator: str) -> None:
    text = separator.join(("True", "x", "n1"))
    assert parse_host_list(text, separator, "f") == (HostLine(1, "x", "n1", is_seed=True),)
    with pytest.raises(Refused, match="line 1: it has 1 columns"):
        parse_host_list(text, ",", "f")


def test_a_target_may_take_several() -> None:
    assert [line.source for line in parse_host_list("True,x,n1\nTrue,x,n2", ",", "f")] == ["n1", "n2"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "names no node"),
        ("# nothing\n", "names no node"),
        ("True,x", "line 1: it has 2 columns and not 3, separated by ','"),
        ("True,x,n1,n2", "line 1: it has 4 columns"),
        ("yes,x,n1", "line 1: whether it is a seed is True or False, not 'yes'"),
        ("\nTrue,,n1", "line 2: '' is not the name of a node"),
        ("True,a/b,n1", "line 1: 'a/b' is not the name of a node"),
        ("True,..,n1", "line 1: '..' is not the name of a node"),
        ("True,x,n\x1b[2J", r"'n\x1b[2J' is not the name"),
        ("True,x,n1\nFalse,x,n2", "line 2: x is a seed or not, and line 1 says the other"),
        ("True,x,n1\nFalse,y,n1", "lines 1, 2: n1 is restored more than once"),
    ],
)
def test_a_mistake_is_told_with_its_line(text: str, said: str) -> None:
    with pytest.raises(Refused) as refused:
        parse_host_list(text, ",", "hosts.txt")
    assert said in refused.value.message
    assert refused.value.message.startswith("hosts.txt")
    assert "True,new1.example.org,old1.example.org" in refused.value.hint


def test_all_mistakes_are_told_at_once_up_to_a_dozen() -> None:
    with pytest.raises(Refused) as refused:
        parse_host_list("\n".join(["bad"] * 20), ",", "f")
    lines = refused.value.message.splitlines()
    assert (len(lines), lines[-1].strip()) == (14, "and 8 more")


@given(st.text(max_size=60))
def test_any_text_is_a_list_or_is_refused(text: str) -> None:
    try:
        lines = parse_host_list(text, ",", "f")
    except Refused as refused:
        assert refused.message.replace("\n", "").isprintable()  # noqa: PT017 - either is fine, and both are looked at
    else:
        assert lines
