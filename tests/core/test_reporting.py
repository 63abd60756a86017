"""What a report says of a head: stock's text, ours behind it, and numbers that are never better than what is known."""

from __future__ import annotations

import pytest

from backupstore.core import measures
from backupstore.core.documents import Head, Latest, Line, Verification
from backupstore.core.measures import MEASURES, NEVER, Sample
from backupstore.core.reporting import (
    Report,
    json_of,
    last_complete,
    report_of,
    samples_of,
    samples_of_failure,
    text_of,
)

NOW = 10_000.0
GOOD = Line(
    name="good",
    started=1000.0,
    finished=2000.5,
    state="complete",
    mode="full",
    size=5 << 20,
    objects=7,
    expected=2,
    completed=2,
    roster=0,
)
WAITING = Line(
    name="waiting",
    started=5000.0,
    state="incomplete",
    mode="differential",
    size=1024,
    objects=3,
    expected=4,
    completed=1,
    incomplete=("n2",),
    missing=("n3", "n4"),
    roster=0,
)


def changed(line: Line, **fields: object) -> Line:
    return line.model_copy(update=fields)


def verified(line: Line, *, ok: bool = True) -> Line:
    return changed(line, verified=Verification(at=9000.0, level="listing", ok=ok))


def report(*lines: Line, checked: float | None = 9990.0, **latest: float) -> Report:
    nodes = {node: Latest(name="good", finished=at) for node, at in latest.items()}
    head = Head(revision="r", checked=9990.0, backups=lines, latest=nodes)
    return report_of(head, now=NOW, checked=checked)


def value(samples: list[Sample], measure: measures.Measure) -> float:
    (found,) = (sample.value for sample in samples if sample.measure == measure)
    return found


def test_the_text_of_a_good_cluster() -> None:
    assert text_of(report(verified(GOOD), n1=1999.9), "n1") == [
        "Latest node backup finished 8000 seconds ago",
        "Latest complete backup:",
        "- Name: good",
        "- Finished: 7999 seconds ago",
        "Latest backup:",
        "- Name: good",
        "- Finished: True",
        "- Details - Node counts",
        "- Complete backup: 2 nodes have completed the backup",
        "- Total size: 5.00 MiB",
        "- Total files: 7",
        "Latest verified backup:",
        "- Name: good",
        "- Finished: 7999 seconds ago",
        "- Verified: 1000 seconds ago, level listing",
    ]


def test_the_text_names_the_nodes_that_are_waited_for() -> None:
    text = text_of(report(GOOD, WAITING), "n9")
    assert text[0] == "This node has not been backed up yet"
    assert text[4:] == [
        "Latest backup:",
        "- Name: waiting",
        "- Finished: False",
        "- Details - Node counts",
        "- Complete backup: 1 nodes have completed the backup",
        "- Incomplete backup: 1 nodes have not completed the backup yet",
        "  These nodes are:",
        "     n2",
        "- Missing backup: 2 nodes are not running backups",
        "  These nodes are:",
        "     n3",
        "     n4",
        "- Total size: 1.00 KiB",
        "- Total files: 3",
        "No complete backup has been verified yet",
    ]


def test_an_empty_bucket() -> None:
    empty = report()
    assert text_of(empty, "n1") == [
        "This node has not been backed up yet",
        "The cluster this node belongs to has no complete backup yet",
        "The cluster this node belongs to has not started a backup yet",
        "No complete backup has been verified yet",
    ]
    samples = samples_of(empty, "")
    assert value(samples, measures.CLUSTER_AGE) == value(samples, measures.VERIFIED_AGE) == NEVER
    assert value(samples, measures.COMPLETE_BACKUPS) == 0


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (changed(GOOD, state="corrupt", corrupt=3), "- Corrupt: 3 components, so this is no good backup"),
        (changed(GOOD, state="partial"), "- Partial: some tables only, so this is no whole backup"),
    ],
)
def test_what_is_no_good_backup_is_not_the_last_complete_one(bad: Line, said: str) -> None:
    newer = changed(bad, name="newer", started=3000.0, finished=4000.0)
    found = report(GOOD, verified(newer))
    assert said in text_of(found, "n1")
    assert found.complete == GOOD
    assert found.verified is None
    assert value(samples_of(found, ""), measures.CLUSTER_AGE) == 7999
    assert value(samples_of(found, ""), measures.CORRUPT_COMPONENTS) == bad.corrupt
    assert value(samples_of(found, ""), measures.CORRUPT_BACKUPS) == (1 if bad.corrupt else 0)


def test_the_last_complete_one_is_the_one_that_finished_last() -> None:
    late = changed(GOOD, name="late", started=500.0, finished=3000.0)
    twin = changed(late, name="later")
    head = Head(revision="r", checked=0.0, backups=(late, twin, GOOD, WAITING))
    assert last_complete(head) == twin
    assert last_complete(Head(revision="r", checked=0.0, backups=(WAITING,))) is None


def test_a_verified_backup_is_one_that_was_found_good() -> None:
    newer = changed(GOOD, name="newer", finished=6000.0)
    found = report(verified(GOOD), verified(newer, ok=False), verified(WAITING))
    assert (found.complete, found.verified) == (verified(newer, ok=False), verified(GOOD))
    samples = samples_of(found, "")
    assert value(samples, measures.VERIFIED_AGE) == 7999
    assert value(samples, measures.FAILED_VERIFICATIONS) == 1
    assert "Found bad when they were verified: 1 backups" in text_of(found, "n1")


def test_the_numbers() -> None:
    samples = samples_of(report(GOOD, WAITING, n1=1000.0, n2=2000.0), "east", "n1")
    told = {
        (sample.measure.name, sample.node): (sample.value, sample.backup) for sample in samples if sample.backup != ""
    }
    assert told == {
        ("medusa-node-backup.seconds-since-backup", "n1"): (9000, "good"),
        ("medusa-cluster-backup.seconds-since-backup", ""): (7999, "good"),
        ("medusa-shipper.verified-backup-age-seconds", ""): (NEVER, "TRACKING-ERROR"),
        ("medusa-cluster-backup.complete-backups-node-count", ""): (1, "waiting"),
        ("medusa-cluster-backup.incomplete-backups-node-count", ""): (1, "waiting"),
        ("medusa-cluster-backup.missing-backups-node-count", ""): (2, "waiting"),
        ("medusa-cluster-backup.backup-total-size", ""): (1024, "waiting"),
        ("medusa-cluster-backup.backup-total-file-count", ""): (3, "waiting"),
        ("medusa-shipper.corrupt-components", ""): (0, "waiting"),
        ("medusa-shipper.node-incomplete", "n2"): (1, "waiting"),
        ("medusa-shipper.node-missing", "n3"): (1, "waiting"),
        ("medusa-shipper.node-missing", "n4"): (1, "waiting"),
    }
    assert {sample.cluster for sample in samples} == {"east"}
    assert value(samples, measures.INDEX_LAG) == 10
    assert value(samples, measures.REPORT_TIME) == NOW
    assert value(samples, measures.REPORT_ERROR) == 0


def test_the_ages_of_all_nodes() -> None:
    ages = {
        sample.node: sample.value
        for sample in samples_of(report(GOOD, n1=1000.0, n2=2000.0), "")
        if sample.measure == measures.NODE_AGE
    }
    assert ages == {"n1": 9000, "n2": 8000}


def test_without_a_catalog_the_lag_is_as_bad_as_can_be() -> None:
    found = report(GOOD, checked=None)
    assert value(samples_of(found, ""), measures.INDEX_LAG) == NEVER
    assert json_of(found, "n1")["index_lag"] is None


def test_a_failure_is_told_as_stock_tells_it() -> None:
    samples = samples_of_failure("east")
    (age,) = (sample for sample in samples if sample.measure == measures.CLUSTER_AGE)
    assert (age.value, age.backup) == (315_365_400, "TRACKING-ERROR")
    assert value(samples, measures.REPORT_ERROR) == 1


def test_a_clock_that_is_behind_makes_nothing_negative() -> None:
    assert "- Finished: 0 seconds ago" in text_of(report(changed(GOOD, finished=NOW + 5)), "n1")


def test_the_json() -> None:
    assert json_of(report(GOOD, WAITING, n1=1000.0), "n1") == {
        "node": {"fqdn": "n1", "name": "good", "seconds_ago": 9000},
        "complete": {"name": "good", "finished": 2000, "seconds_ago": 7999},
        "verified": None,
        "latest": {
            "name": "waiting",
            "state": "incomplete",
            "started": 5000,
            "completed_nodes": 1,
            "incomplete_nodes_list": ["n2"],
            "missing_nodes_list": ["n3", "n4"],
            "size": 1024,
            "num_objects": 3,
            "corrupt": 0,
        },
        "complete_backups": 1,
        "corrupt_backups": 0,
        "failed_verifications": 0,
        "index_lag": 10,
    }
    empty = json_of(report(), "n1")
    assert (empty["node"], empty["complete"], empty["latest"]) == (None, None, None)


@pytest.mark.parametrize(
    ("count", "shown"), [(0, "0.00 B"), (1023, "1023.00 B"), (1 << 30, "1.00 GiB"), (1 << 80, "1.00 YiB")]
)
def test_sizes_as_stock_shows_them_here(count: int, shown: str) -> None:
    assert f"- Total size: {shown}" in text_of(report(changed(GOOD, size=count)), "n1")


def test_the_table_names_everything_once() -> None:
    assert len({measure.name for measure in MEASURES}) == len({measure.identifier for measure in MEASURES})
    assert len({measure.name for measure in MEASURES}) == len(MEASURES)
    in_module = {each for each in vars(measures).values() if isinstance(each, measures.Measure)}
    assert in_module == set(MEASURES), "one that is not in the table is told to nobody"
