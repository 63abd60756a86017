"""What tells an object from one that was remembered, on stores with a digest and on those without."""

from __future__ import annotations

import pytest

from backupstore.core.layout import Layout
from backupstore.ports import StoredObject
from shipper.transfer.decide import Compare, Decision, Destination, Reuse, decide
from shipper.transfer.known import KnownFile
from shipper.transfer.ledger import FileRow

FILE = FileRow(1, "ks", "t-0123", "", "nb-1-big-Data.db", 0, "/data/ks/t-0123/nb-1-big-Data.db", 1, 2, 10, 3)
HERE = Destination(Layout(), "n1", "b2", "differential", 1, frozenset())
MD5, OTHER = "0" * 32, "1" * 32


def decided(*, remembered: tuple[float, str | None], listed: tuple[float, str | None]) -> Decision:
    key = HERE.plain(FILE)
    known = KnownFile("sha", 1, None, None, key, *remembered, 0.0)
    stored = StoredObject(key, FILE.size, *listed)
    return decide(FILE, HERE, known=known, at_known=stored, at_plain=stored)


@pytest.mark.parametrize(
    ("remembered", "listed"), [((5.0, MD5), (5.0, MD5)), ((5.0, MD5), (6.25, MD5)), ((5.0, None), (5.0, None))]
)
def test_the_same_object_is_known(remembered: tuple[float, str | None], listed: tuple[float, str | None]) -> None:
    """S3 answers a write with the time of its answer, and lists the time at which the write began."""
    assert isinstance(decided(remembered=remembered, listed=listed), Reuse)


@pytest.mark.parametrize(
    ("remembered", "listed"),
    [
        ((5.0, MD5), (5.0, OTHER)),
        ((5.0, None), (6.0, None)),
        ((5.0, None), (5.0, MD5)),
        ((5.0, MD5), (5.0, None)),
    ],
)
def test_another_object_is_compared(remembered: tuple[float, str | None], listed: tuple[float, str | None]) -> None:
    assert isinstance(decided(remembered=remembered, listed=listed), Compare)
