"""Numbers for Prometheus: the text, read by Prometheus' own parser, and the files of the textfile collector."""

from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from backupstore.core import measures
from backupstore.core.measures import MEASURES, Sample
from backupstore.metrics.prometheus import Textfiles, exposition

NASTY = 'a "quoted\\ \nname'


def parsed(text: bytes) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def test_every_measure_of_the_table_comes_out_under_its_name() -> None:
    samples = [Sample(measure, number, "east", "n1", "b") for number, measure in enumerate(MEASURES)]
    found = parsed(exposition(samples))
    assert {name: value for (name, _), value in found.items()} == {
        measure.identifier: number for number, measure in enumerate(MEASURES)
    }
    families = {family.name: family for family in text_string_to_metric_families(exposition(samples).decode())}
    for measure in MEASURES:
        family = families[measure.identifier]
        assert (family.type, family.documentation) == ("gauge", measure.help)
        assert set(family.samples[0].labels) == set(measure.labels)


def test_samples_of_one_measure_are_told_apart_by_their_labels() -> None:
    samples = [Sample(measures.NODE_MISSING, 1, cluster, node) for cluster in ("", "east") for node in ("n1", NASTY)]
    assert parsed(exposition(samples)) == {
        ("medusa_shipper_node_missing", frozenset({("cluster", cluster), ("node", node)})): 1.0
        for cluster in ("", "east")
        for node in ("n1", NASTY)
    }


def test_nothing_to_tell_is_an_empty_text() -> None:
    assert exposition([]) == b""


def test_each_command_and_node_has_a_file_that_is_exchanged_whole(tmp_path: Path) -> None:
    warned: list[str] = []
    files = Textfiles(tmp_path, warned.append)
    node = Sample(measures.BACKUP_SIZE, 1, "east", "n1")
    other = Sample(measures.BACKUP_SIZE, 2, "east", "n/2 ß")
    report = [Sample(measures.NODE_MISSING, 1, "east", "n3"), Sample(measures.INDEX_LAG, 5, "east")]
    assert files.send([node, other, *report])
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "medusa-backup-east-n1.prom",
        "medusa-backup-east-n_2_ß.prom",
        "medusa-report-east.prom",
    ]
    assert files.send(report[1:])
    assert parsed((tmp_path / "medusa-report-east.prom").read_bytes()) == {
        ("medusa_shipper_index_lag_seconds", frozenset({("cluster", "east")})): 5.0
    }
    assert "} 1.0" in (tmp_path / "medusa-backup-east-n1.prom").read_text()
    assert warned == []


@pytest.mark.parametrize("what", ["missing", "file"])
def test_a_directory_that_cannot_be_written_is_told(tmp_path: Path, what: str) -> None:
    (tmp_path / "file").write_text("")
    warned: list[str] = []
    assert not Textfiles(tmp_path / what, warned.append).send([Sample(measures.INDEX_LAG, 5)])
    assert len(warned) == 1
    assert str(tmp_path / what) in warned[0]
