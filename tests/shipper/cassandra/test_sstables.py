"""Names of components, and what the checks say about an SSTable."""

from __future__ import annotations

import pytest

from backupstore.core.sstables import Severity, check_sstable, parse_component

BIG = (
    "CompressionInfo.db",
    "Data.db",
    "Digest.crc32",
    "Filter.db",
    "Index.db",
    "Statistics.db",
    "Summary.db",
    "TOC.txt",
)
BTI = (
    "CompressionInfo.db",
    "Data.db",
    "Digest.crc32",
    "Filter.db",
    "Partitions.db",
    "Rows.db",
    "Statistics.db",
    "TOC.txt",
)
PLAIN = ("CRC.db", "Data.db", "Digest.crc32", "Filter.db", "Index.db", "Statistics.db", "Summary.db", "TOC.txt")
SAI = (*BIG, "SAI+aa+GroupMeta.db", "SAI+aa+by_topic+Meta.db")


@pytest.mark.parametrize(
    ("file", "descriptor", "component"),
    [
        ("nb-1-big-Data.db", "nb-1-big", "Data.db"),
        ("md-12345-big-Digest.crc32", "md-12345-big", "Digest.crc32"),
        ("oa-2-big-SAI+aa+by_topic+Meta.db", "oa-2-big", "SAI+aa+by_topic+Meta.db"),
        ("oa-2-big-SAI+ba+idx+Meta.db", "oa-2-big", "SAI+ba+idx+Meta.db"),
        ("nb-3-big-SI_customers_by_name.db", "nb-3-big", "SI_customers_by_name.db"),
        (
            "da-3h5r_08py_4k6i21ykkl1f13t4z2-bti-Rows.db",
            "da-3h5r_08py_4k6i21ykkl1f13t4z2-bti",
            "Rows.db",
        ),
        ("notes.txt", "notes.txt", ""),
        ("nb-1-big", "nb-1-big", ""),
        ("nb-x-big-Data.db", "nb-x-big-Data.db", ""),
    ],
)
def test_the_name_of_a_file_says_which_sstable_and_which_part(file: str, descriptor: str, component: str) -> None:
    assert parse_component(file) == (descriptor, component)


def findings(
    components: tuple[str, ...], toc: tuple[str, ...] | None, digest: str | None = "7", crc: int | None = 7
) -> list[tuple[Severity, str]]:
    problems = check_sstable(frozenset(components), toc=toc, digest=digest, data_crc32=crc)
    assert all(problem.why for problem in problems)
    assert all(problem.is_corrupt == (problem.severity is not Severity.WARNING) for problem in problems)
    return [(problem.severity, problem.component) for problem in problems]


@pytest.mark.parametrize("components", [BIG, BTI, PLAIN, SAI])
def test_a_whole_sstable_has_no_problem(components: tuple[str, ...]) -> None:
    assert findings(components, components) == []
    assert findings(components, (*components, "", " ")) == []
    assert findings(components, components, "7\n", None) == []


@pytest.mark.parametrize("components", [BIG, BTI, PLAIN, SAI])
def test_of_each_part_that_is_missing_its_weight_is_known(components: tuple[str, ...]) -> None:
    light = {"Filter.db", "Summary.db", "TOC.txt", "CRC.db", *(set(SAI) - set(BIG))}
    for part in components:
        left = tuple(each for each in components if each != part)
        toc = None if part == "TOC.txt" else components
        weight = Severity.WARNING if part in light else Severity.MISSING
        assert findings(left, toc, None if part == "Digest.crc32" else "7") == [(weight, part)]


def test_a_wrong_digest_is_corrupt_and_comes_first() -> None:
    assert findings((*BIG, "Odd.db"), BIG, "8") == [(Severity.CORRUPT, "Data.db"), (Severity.WARNING, "Odd.db")]


@pytest.mark.parametrize("digest", ["", "x", "-7", "7 7", "\N{ARABIC-INDIC DIGIT SEVEN}", "1" * 40])
def test_a_digest_that_is_no_number_is_corrupt(digest: str) -> None:
    assert findings(BIG, BIG, digest) == [(Severity.CORRUPT, "Digest.crc32")]


def test_without_a_toc_the_data_must_still_be_readable() -> None:
    assert findings(tuple(set(BIG) - {"CompressionInfo.db"}), None) == [(Severity.MISSING, "CompressionInfo.db")]


def test_what_the_toc_does_not_name_is_told() -> None:
    assert findings(BIG, tuple(set(BIG) - {"Filter.db"})) == [(Severity.WARNING, "Filter.db")]


def test_a_stranger_is_a_warning() -> None:
    assert findings(("",), None, None, None) == [(Severity.WARNING, "")]
