"""From manifest and listing to findings; and a rotation in which nothing is left out."""

from __future__ import annotations

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backupstore.core.completion import Complete, Waiting
from backupstore.core.documents import Found
from backupstore.core.keys import DataKey
from backupstore.core.manifest import Entry
from backupstore.core.verification import (
    BROKEN,
    DIFFERENT,
    INCOMPLETE,
    MISMATCH,
    MISSING,
    MOST,
    WARNING,
    WHOLE,
    WORST_FIRST,
    Listed,
    Piece,
    Subset,
    Tally,
    covering,
    difference,
    is_by_size,
    of_completion,
    piece_of,
    sstable_name,
    subset_of,
)

HEX = hashlib.md5(b"x", usedforsecurity=False).hexdigest()
BASE64 = base64.b64encode(bytes.fromhex(HEX)).decode()
OTHER = hashlib.md5(b"y", usedforsecurity=False).hexdigest()
DAY = 86_400.0


def entry(md5: str | None = HEX, size: int = 7) -> Entry:
    return Entry("ks", "t", "n1/data/ks/t/nb-1-big-Data.db", size, md5)


@pytest.mark.parametrize(
    ("named", "listed"),
    [
        (entry(), Listed(7, HEX)),
        (entry(), Listed(7, BASE64)),
        (entry(BASE64), Listed(7, HEX)),
        (entry(f"{HEX}-3"), Listed(7, f"{HEX}-3")),
        (entry("kms-digest-of-nothing"), Listed(7, "kms-digest-of-nothing")),
        (entry(None), Listed(7, HEX)),
        (entry(), Listed(7)),
    ],
)
def test_an_object_is_as_the_manifest_says(named: Entry, listed: Listed) -> None:
    assert difference(named, listed) is None


@pytest.mark.parametrize(
    ("named", "listed", "kind"),
    [
        (entry(), None, MISSING),
        (entry(), Listed(8, HEX), DIFFERENT),
        (entry(None), Listed(8), DIFFERENT),
        (entry(), Listed(7, OTHER), DIFFERENT),
        (entry(f"{HEX}-3"), Listed(7, f"{HEX}-4"), DIFFERENT),
        (entry(f"{HEX}-3"), Listed(7, HEX), DIFFERENT),
        (entry(""), Listed(7, HEX), DIFFERENT),
        (entry("no digest"), Listed(7, "other"), DIFFERENT),
    ],
)
def test_an_object_is_not_as_the_manifest_says(named: Entry, listed: Listed | None, kind: str) -> None:
    found = difference(named, listed)
    assert found is not None
    assert found[0] == kind


def test_where_there_is_no_digest_it_is_said_so() -> None:
    assert is_by_size(entry(None), Listed(7, HEX))
    assert is_by_size(entry(), Listed(7))
    assert not is_by_size(entry(), Listed(7, OTHER))


def found(kind: str, number: int = 0) -> Found:
    return Found(kind=kind, why=str(number))


def test_the_worst_comes_first_and_only_so_much_is_kept() -> None:
    tally = Tally()
    for number in range(MOST + 5):
        tally.add(found(BROKEN, number))
    tally.add(found(MISSING))
    assert len(tally.findings) == MOST
    assert tally.findings[:2] == (found(MISSING), found(BROKEN, 0))
    assert tally.counts == {BROKEN: MOST + 5, MISSING: 1}


def test_two_tallies_make_one() -> None:
    one, other = Tally(objects=1, size=10, read=3, by_size=1), Tally(objects=2, size=5)
    for number in range(MOST):
        one.add(found(WARNING, number))
        other.add(found(WARNING, -number))
    other.add(found(MISMATCH))
    one.merge(other)
    assert (one.objects, one.size, one.read, one.by_size) == (3, 15, 3, 1)
    assert one.counts == {WARNING: 2 * MOST, MISMATCH: 1}
    assert one.findings[0] == found(MISMATCH)
    assert len(one.findings) == MOST


@pytest.mark.parametrize("kind", WORST_FIRST)
def test_only_warnings_leave_it_good(kind: str) -> None:
    tally = Tally()
    assert tally.ok
    tally.add(found(kind))
    assert tally.ok == (kind == WARNING)


def test_whoever_is_waited_for_is_a_finding() -> None:
    assert list(of_completion(Complete(("n1",)))) == []
    waiting = Waiting(incomplete=("n1",), missing=("n2",))
    assert [(each.kind, each.node) for each in of_completion(waiting)] == [(INCOMPLETE, "n1"), (INCOMPLETE, "n2")]


def test_a_backup_for_which_no_node_is_expected_is_not_complete() -> None:
    assert [each.kind for each in of_completion(Waiting())] == [INCOMPLETE]


# ---------------------------------------------------------------- what is read today


@given(st.text(max_size=40), st.integers(1, 40))
def test_each_sstable_is_read_in_exactly_one_turn(name: str, of: int) -> None:
    assert sum(Subset(turn, of).takes(name) for turn in range(of)) == 1


@given(st.integers(0, 10**6), st.sampled_from(["5%", "1%", "33%", "30%", "0.5%", "100%"]), st.text(max_size=20))
def test_a_percentage_reads_everything_in_turn(day: int, text: str, name: str) -> None:
    first = subset_of(text, now=day * DAY, every=DAY)
    runs = first.of if first else 1
    days = (subset_of(text, now=(day + later) * DAY + 1, every=DAY) for later in range(runs))
    assert sum(subset is None or subset.takes(name) for subset in days) == 1


@pytest.mark.parametrize(
    ("text", "of"), [("5%", 20), ("1%", 100), ("33%", 4), ("50%", 2), ("99%", 2), ("0.5%", 200), ("3.3%", 31)]
)
def test_a_percentage_is_rounded_to_more(text: str, of: int) -> None:
    subset = subset_of(text, now=0.0, every=DAY)
    assert subset is not None
    assert subset.of == of


def test_a_part_is_named_from_one() -> None:
    assert subset_of("3/20", now=5.0, every=DAY) == Subset(2, 20)
    assert str(Subset(2, 20)) == "3/20"
    assert subset_of("1/1", now=5.0, every=DAY) is None


@pytest.mark.parametrize("text", ["", "5", "0%", "101%", "-5%", "0/3", "4/3", "1/0", "5%%", "five%", "٣%"])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="percentage"):
        subset_of(text, now=0.0, every=DAY)


# ---------------------------------------------------------------- in pieces


@given(st.text(max_size=40), st.integers(1, 40))
def test_each_sstable_is_in_exactly_one_piece_and_in_one_of_its_parts(name: str, of: int) -> None:
    (piece,) = (piece for piece in (Piece(index, of) for index in range(of)) if piece.takes(name))
    assert sum(smaller.takes(name) for smaller in piece.split()) == 1
    assert sum(smaller.takes(name) for other in range(of) for smaller in Piece(other, of).split()) == 1


def test_each_piece_has_its_share_of_what_is_read_today() -> None:
    """Whatever the numbers have in common."""
    today = [name for name in map(str, range(20_000)) if Subset(3, 20).takes(name)]
    shares = [sum(Piece(index, 10).takes(name) for name in today) for index in range(10)]
    assert min(shares) > len(today) / 20


@given(st.integers(0, 3), st.integers(1, 4), st.data())
def test_pieces_are_all_of_it_when_none_is_missing(index: int, of: int, data: st.DataObject) -> None:
    wanted = Piece(index % of, of)
    done = {wanted}
    for _ in range(data.draw(st.integers(0, 4))):
        larger = data.draw(st.sampled_from(sorted(done, key=str)))
        done = done - {larger} | set(larger.split())
    found = covering(wanted, done)
    assert found is not None
    assert set(found) == done
    assert covering(wanted, done | {wanted}) == (wanted,), "no part counts twice"
    missing = data.draw(st.sampled_from(sorted(done, key=str)))
    assert covering(wanted, done - {missing} | set(missing.split()[1:])) is None
    assert covering(wanted, frozenset()) is None


def test_a_piece_is_named_from_one() -> None:
    assert piece_of(str(Piece(1, 4))) == Piece(1, 4)
    assert str(WHOLE) == "1/1"
    for text in ("", "0/4", "5/4", "1", "1/100000", "x/y", "1/4 "):
        with pytest.raises(ValueError, match="piece"):
            piece_of(text)


def test_a_tally_is_the_same_after_it_was_put_down() -> None:
    tally = Tally()
    for number in range(MOST + 5):
        tally.add(found(BROKEN, number))
    tally.add(found(MISSING))
    again = Tally.told(tally.counts, tally.findings)
    assert (again.counts, again.findings, again.ok) == (tally.counts, tally.findings, tally.ok)


def test_a_sstable_has_one_name_in_every_backup() -> None:
    shared = DataKey("n1", "ks", "t", "nb-1-big-Data.db")
    elsewhere = [
        DataKey("n1", "ks", "t", "nb-1-big-Digest.crc32", None, "b1"),
        DataKey("n1", "ks", "t", "nb-1-big-TOC.txt", None, None, "f" * 64),
    ]
    others = [
        DataKey("n2", "ks", "t", "nb-1-big-Data.db"),
        DataKey("n1", "ks", "t", "nb-10-big-Data.db"),
        DataKey("n1", "ks", "t", "nb-1-big-Data.db", ".idx"),
    ]
    assert {sstable_name(key) for key in elsewhere} == {sstable_name(shared)}
    assert sstable_name(shared) not in {sstable_name(key) for key in others}
