"""Reading commands read one document, say so when they cannot rely on it, and never write."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from backupstore.core.layout import Layout
from backupstore.operations.reconcile import reconcile
from backupstore.ports import ObjectStore
from backupstore.stores.memory import MemoryBucket
from shipper.cli.options import Globals
from shipper.cli.reading import run_last_complete, run_list, run_status, run_tokenmap
from shipper.cli.reporting import run_report
from tests.interleaving import Around
from tests.shipper.cli.handmade import Made, Maker
from tests.shipper.cli.program import Program, tree

READING = [
    ("list-backups",),
    ("list-backups", "--output", "json"),
    ("list-backups", "--show-all"),
    ("status", "--backup-name", "b1"),
    ("status", "--backup-name", "b1", "--output", "json"),
    ("status", "--backup-name", "none"),
    ("get-last-complete-cluster-backup",),
    ("report-last-backup",),
    ("report-last-backup", "--push-metrics", "--output", "json"),
    ("fetch-tokenmap", "--backup-name", "b1"),
    ("build-index", "--noop"),
]


class Counting(Around):
    """Counts what is asked of the store."""

    def __init__(self, store: ObjectStore) -> None:
        super().__init__(store)
        self.calls: Counter[str] = Counter()

    def before(self, call: str) -> None:
        self.calls[call] += 1


@dataclass
class Desk:
    """The reading commands over a bucket in memory that counts."""

    directory: Path
    bucket: MemoryBucket = field(default_factory=lambda: MemoryBucket(lambda: 1_700_000_000.0))

    @property
    def maker(self) -> Maker:
        return Maker(self.bucket.open(None), Layout())

    def reconcile(self) -> None:
        now = self.chosen().clock.now()
        reconcile(self.bucket.open(None), Layout(), now=now, revision=lambda: "r")

    def chosen(self) -> Globals:
        made = Globals(Program(self.directory).ini, {}, 0, log_timestamp=False)
        store = Counting(self.bucket.open(None))
        vars(made)["store"] = store  # where the property keeps what it made
        return made

    def held(self) -> dict[str, bytes]:
        store = self.bucket.open(None)
        return {stored.key: store.read(stored.key).body for stored in store.list("")}


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    made = Desk(tmp_path)
    for number in range(20):
        made.maker.ship(f"b{number}")
    return made


def calls(chosen: Globals) -> dict[str, int]:
    assert isinstance(chosen.store, Counting)
    return dict(chosen.store.calls)


def test_a_list_is_one_read(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.reconcile()
    chosen = desk.chosen()
    run_list(chosen, show_all=False, output="text")
    assert calls(chosen) == {"read": 1}
    assert len(capsys.readouterr().out.splitlines()) == 20


def test_the_last_complete_one_is_one_read(desk: Desk) -> None:
    desk.reconcile()
    chosen = desk.chosen()
    run_last_complete(chosen)
    assert calls(chosen) == {"read": 1}


def test_a_report_is_one_read(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.reconcile()
    chosen = desk.chosen()
    run_report(chosen, push=False, output="text")
    assert calls(chosen) == {"read": 1}
    assert "Latest complete backup:" in capsys.readouterr().out


def test_a_status_is_two_reads(desk: Desk) -> None:
    desk.reconcile()
    chosen = desk.chosen()
    run_status(chosen, "b7", output="text")
    assert calls(chosen) == {"read": 2}


def test_a_list_as_json_is_one_read_more_for_each_backup(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.reconcile()
    chosen = desk.chosen()
    run_list(chosen, show_all=True, output="json")
    assert calls(chosen) == {"read": 21}
    assert len(json.loads(capsys.readouterr().out)) == 20


def test_nothing_is_written_in_memory_either(desk: Desk) -> None:
    before = desk.held()
    for indexed in (False, True):
        if indexed:
            desk.reconcile()
            before = desk.held()
        run_list(desk.chosen(), show_all=False, output="text")
        run_list(desk.chosen(), show_all=True, output="json")
        run_status(desk.chosen(), "b7", output="json")
        run_last_complete(desk.chosen())
        run_tokenmap(desk.chosen(), "b7")
        assert desk.held() == before


@pytest.mark.parametrize("indexed", [False, True])
def test_reading_never_writes(program: Program, *, indexed: bool) -> None:
    for backup in ("b1", "b2"):
        program.maker().ship(backup, Made(ring={"n1": "dc1", "n2": "dc1"}))
    if indexed:
        assert program.run("build-index").code == 0
    before = tree(program.bucket)
    for command in READING:
        program.run(*command)
    assert tree(program.bucket) == before


def test_without_a_catalog_the_bucket_is_read_and_that_is_said(program: Program) -> None:
    program.maker().ship("b1")
    done = program.run("list-backups")
    assert done.out.startswith("b1 (started: ")
    assert "there is no catalog yet: reading the bucket itself" in done.err
    assert "medusa-shipper serve" in done.err
    program.run("build-index")
    assert program.run("list-backups").err == ""


def test_a_catalog_that_nobody_confirms_is_not_relied_on(program: Program) -> None:
    program.maker().ship("b1", Made(end="data"))
    assert program.run("build-index").code == 0
    program.maker().finish("b1", Made())
    trusting = program.run("status", "--backup-name", "b1")
    assert trusting.out.startswith("b1 [Incomplete!]"), "it was confirmed a moment ago"
    head = program.bucket / Layout().head()
    document = json.loads(head.read_bytes())
    head.write_text(json.dumps({**document, "checked": document["checked"] - 7200}))
    for command in (("status", "--backup-name", "b1"), ("list-backups",), ("get-last-complete-cluster-backup",)):
        done = program.run(*command)
        assert "the catalog was last confirmed 120 minutes ago" in done.err
        assert done.out.startswith("b1")
        assert "Incomplete" not in done.out


def test_this_nodes_last_backup_must_be_in_it(program: Program) -> None:
    program.maker().ship("b1")
    assert program.run("build-index").code == 0
    program.maker().ship("b2")
    identity = f"local||{program.directory}|bucket|"
    (program.directory / "state").mkdir()
    (program.directory / "state/last.json").write_text(json.dumps({"backup": "b2", "node": "n1", "bucket": identity}))
    done = program.run("list-backups")
    assert "the catalog does not know b2 of n1 yet" in done.err
    assert "b2 (started" in done.out


@pytest.mark.parametrize("document", [Layout().head(), Layout().catalog_backup("b1")])
def test_a_document_that_cannot_be_read_is_passed_by(program: Program, document: str) -> None:
    program.maker().ship("b1")
    assert program.run("build-index").code == 0
    (program.bucket / document).write_text("{")
    for command in (("status", "--backup-name", "b1"), ("list-backups", "--output", "json")):
        done = program.run(*command)
        assert done.code == 0
        assert "reading the bucket itself" in done.err
        assert "b1" in done.out


def test_a_backup_too_young_for_the_catalog_is_found_by_its_name(program: Program) -> None:
    assert program.run("build-index").code == 0
    program.maker().ship("b1", Made(end="data"))
    assert program.run("status", "--backup-name", "b1").out.startswith("b1 [Incomplete!]")
