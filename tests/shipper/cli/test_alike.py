"""What is said once for many."""

from __future__ import annotations

from shipper.cli.alike import alike


def test_the_same_about_many_is_one_line() -> None:
    found = [("a", "TOC.txt is missing"), ("b", "odd"), ("c", "TOC.txt is missing"), ("d", "TOC.txt is missing")]
    assert list(alike(found)) == ["a and 2 more: TOC.txt is missing", "b: odd"]
    assert list(alike([])) == []
