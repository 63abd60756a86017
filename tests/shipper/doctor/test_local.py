"""A local bucket, with what an operator finds at 3 a.m. in it."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

import pytest

from backupstore.clock import SystemClock
from backupstore.core import layout as grammar
from backupstore.core.layout import Layout
from backupstore.operations.reading import read_head
from backupstore.settings import load
from backupstore.wiring import open_store
from shipper.doctor.case import Case
from shipper.doctor.checks import all_checks
from shipper.doctor.findings import examine
from tests.shipper.cassandra.users import unprivileged
from tests.shipper.cli.handmade import Made
from tests.shipper.cli.program import BUCKET, Program, tree
from tests.shipper.doctor.asked import Answers, age, ask, run_index

MINUTE = 60
LAYOUT = Layout()


@pytest.fixture
def program(tmp_path: Path) -> Program:
    made = Program(tmp_path)
    made.bucket.mkdir()
    return made


def test_a_good_bucket(program: Program) -> None:
    program.maker().ship("202611230200")
    run_index(program)
    found = ask(program, "settings", "names", "store", "index", "stock")
    assert not found.status("store/create") - {"ok"}, found.said("fail")
    assert found.of("store/create")
    for check in ("names/own", "store/bucket", "store/links", "index/replace", "store/clock", "store/powers"):
        assert found.status(check) == {"ok"}, check
    for check in ("index/catalog", "index/events", "stock/writes", "stock/deletes", "stock/data"):
        assert found.status(check) == {"ok"}, check
    assert "2 of the 2 objects of 202611230200" in found.of("stock/data")[0][1]


@pytest.mark.parametrize("name", ["localhost", "tokenmap_1"])
def test_a_machine_that_only_serves_needs_no_name_of_a_node(program: Program, name: str) -> None:
    program.maker().ship("b1")
    run_index(program)
    nameless = Program(program.directory, environment={"MEDUSA_STORAGE_FQDN": name})
    loaded = load(nameless.ini, nameless.environment)
    case = Case(loaded.settings, open_store(loaded.settings), SystemClock(), read_only=False, seconds=60.0)
    found = Answers(tuple(examine(all_checks(case, loaded, "x", "r"), ("names", "store", "index"), 60.0)))
    assert found.status("names/own") == {"fail"}
    for check in ("store/bucket", "store/room", "index/replace", "index/catalog"):
        assert not found.status(check) & {"fail", "not checked"}, found.said("not checked")
    for check in ("store/create", "store/announce", "index/events", "names/neighbours"):
        assert found.of(check) == [("not checked", "not checked: names/own has to be good first")], check


def test_nothing_stays_behind_where_deleting_is_allowed(program: Program) -> None:
    program.maker().ship("b1")
    run_index(program)
    ask(program, "store")
    left = tree(program.bucket)
    assert not [key for key in left if "doctor-probe" in key]
    assert ask(program, "store").status("store/create") == {"ok"}


def test_reading_only_writes_nothing_and_says_what_it_did_not_check(program: Program) -> None:
    program.maker().ship("b1")
    before = tree(program.bucket)
    found = ask(program, read_only=True)
    assert tree(program.bucket) == before
    for check in ("store/links", "store/create", "store/announce", "index/replace", "store/clock", "store/powers"):
        assert found.of(check) == [("not checked", "not checked: --read-only writes no probe")], check


def test_root_leaves_nothing_in_a_bucket_of_somebody_else(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = os.geteuid() or 65534
    os.chown(program.bucket, owner, -1)
    monkeypatch.setattr(os, "geteuid", lambda: 0)  # where the tests do not run as root
    before = tree(program.bucket)
    found = ask(program, "store")
    assert tree(program.bucket) == before
    for check in ("store/links", "store/create", "store/announce", "store/clock", "store/powers"):
        assert found.status(check) == {"not checked"}, check
        assert f"would not belong to the bucket's owner (user id {owner})" in found.of(check)[0][1]
    assert "sudo -u cassandra" in found.said("not checked")


def test_a_bucket_that_may_not_be_looked_at_is_told_by_each_check() -> None:
    """Or one on a mount whose server is gone: whatever a look costs or raises, only the check that looks has to bear it."""
    with tempfile.TemporaryDirectory() as folder:
        closed = Path(folder)
        loaded = load(Program(closed).ini, {})
        closed.chmod(0)
        case = Case(loaded.settings, open_store(loaded.settings), SystemClock(), read_only=False, seconds=60.0)
        with unprivileged():
            found = Answers(tuple(examine(all_checks(case, loaded, "", ""), ["store"], case.seconds)))
        closed.chmod(0o700)
    for check in ("store/bucket", "store/room", "store/mount"):
        assert [status for status, _ in found.of(check)] == ["fail"], check
    assert f"{closed / BUCKET}: Permission denied" in found.said("fail")
    for check in ("store/links", "store/create", "store/announce", "store/clock", "store/powers"):
        assert found.of(check) == [("not checked", "not checked: store/bucket has to be good first")], check


def test_the_exit_code_tells_whether_something_failed(program: Program) -> None:
    good, bad = (program.run("doctor", "--only", area, "-o", "json") for area in ("store", "node"))
    assert (good.code, good.json["ok"]) == (0, True)
    assert (bad.code, bad.json["ok"]) == (1, False)


def test_text_says_the_same_as_json(program: Program) -> None:
    text = program.run("doctor", "--only", "index").out
    lines = [line for line in text.splitlines() if line.startswith("WARN")]
    assert lines == [
        "WARN  index/catalog: there is no catalog yet: nobody keeps the list of backups; the backups themselves are not affected"
    ]
    assert "\n      → Run 'medusa-shipper serve' on one machine" in text
    assert text.splitlines()[-1] == "3 ok, 1 warn, 0 fail, 1 not checked"


def test_wrong_settings_are_told_and_everything_else_is_not_checked(program: Program) -> None:
    done = Program(program.directory, storage=("port = many", "prefix = a/b")).run("doctor", "-o", "json")
    found = done.json["findings"]
    assert (done.code, [(each["check"], each["status"]) for each in found]) == (
        1,
        [("settings/file", "fail"), ("settings/file", "fail"), ("everything else", "not checked")],
    )
    assert [part for each in found for part in ("prefix = a/b", "port = many") if part in each["seen"]] == [
        "prefix = a/b",
        "port = many",
    ]
    assert "docs/settings.md" in found[0]["todo"]


def test_settings_that_stocks_purge_goes_by_too_are_told(program: Program) -> None:
    found = ask(Program(program.directory, storage=("max_backup_count = 7",)), "settings", "stock")
    assert "max_backup_count = 7: our purge goes by it" in found.said("warn")


def test_a_bucket_that_is_not_mounted(program: Program) -> None:
    program.bucket.rmdir()
    found = ask(program, "store", read_only=True)
    assert found.status("store/bucket") == {"warn"}
    assert not program.bucket.exists()
    (program.directory / "state").mkdir()
    (program.directory / "state/last.json").write_text(
        json.dumps({"bucket": f"local||{program.directory}|bucket|", "node": "n1", "backup": "b1"})
    )
    found = ask(program, "store")
    assert found.status("store/bucket") == {"fail"}
    assert "has been there before" in found.said("fail")
    assert found.status("store/create") == {"not checked"}
    assert not program.bucket.exists()


def test_a_bucket_beside_the_data_is_no_backup(program: Program) -> None:
    data = program.directory / "data"
    data.mkdir()
    yaml = program.directory / "cassandra.yaml"
    yaml.write_text(f"cluster_name: c\ndata_file_directories: [{data}]\n")
    beside = Program(program.directory, cassandra=(f"config_file = {yaml}",))
    assert f"the same file system as Cassandra's {data}" in ask(beside, "store").said("warn")


def test_events_that_do_not_arrive(program: Program) -> None:
    program.maker().ship("b1")
    run_index(program)
    program.maker().ship("b2")
    assert ask(program, "index").status("index/events") == {"ok"}  # told just now
    age(program, LAYOUT.meta("n1", "b2", grammar.MANIFEST), 5 * MINUTE)
    found = ask(program, "index").said("warn")
    assert "b2 was finished 5 minutes ago and is not in the catalog" in found
    run_index(program)
    assert ask(program, "index").status("index/events") == {"ok"}


def test_a_backup_that_was_given_up_is_not_missed(program: Program) -> None:
    program.maker().ship("b1", Made(abandoned=True))
    age(program, LAYOUT.meta("n1", "b1", grammar.MANIFEST), 5 * MINUTE)
    assert ask(program, "index").status("index/events") == {"not checked"}


def test_a_catalog_that_nobody_keeps(program: Program) -> None:
    program.maker().ship("b1")
    run_index(program)
    head = program.bucket / LAYOUT.head()
    document = json.loads(head.read_text())
    head.write_text(json.dumps({**document, "checked": document["checked"] - 60 * MINUTE}))
    assert "the catalog was last confirmed 60 minutes ago" in ask(program, "index").said("warn")


def test_backups_that_somebody_else_deleted(program: Program) -> None:
    for name in ("b1", "b2"):
        program.maker().ship(name)
    program.store.delete([LAYOUT.meta("n1", "b1", grammar.MANIFEST), LAYOUT.meta("n1", "b1", grammar.SCHEMA)])
    assert "b1 of this node was finished, and deleted by somebody else" in ask(program, "stock").said("warn")


def test_data_that_is_gone_is_a_failure(program: Program) -> None:
    program.maker().ship("b1")
    run_index(program)
    (gone,) = (found.key for found in program.store.list(LAYOUT.shared_data("n1")) if found.key.endswith("Data.db"))
    program.store.delete([gone])
    found = ask(program, "stock")
    assert f"1 of 2 objects of b1 that were looked for are gone, such as {gone}" in found.said("fail")


def test_a_sample_is_spread_over_the_whole_backup(program: Program) -> None:
    files = {f"nb-{number}-big-Data.db": b"x" for number in range(300)}
    program.maker().ship("b1", Made(files=files))
    run_index(program)
    (text,) = (seen for _, seen in ask(program, "stock").of("stock/data"))
    assert text.endswith("of the 300 objects of b1 were looked for, and are there")
    assert 32 <= int(text.split()[0]) <= 64


def test_stock_that_still_writes(program: Program) -> None:
    program.maker().ship("b1", Made(by_stock=True))
    assert "stock wrote b1 of this node 0.0 days ago: both write here" in ask(program, "stock").said("warn")
    age(program, LAYOUT.meta("n1", "b1", grammar.SCHEMA), 15 * 24 * 60 * MINUTE)
    assert ask(program, "stock").status("stock/writes") == {"ok"}


@pytest.mark.parametrize(("by_stock", "status"), [(False, "warn"), (True, "fail")])
def test_a_name_that_is_the_beginning_of_another_one(program: Program, *, by_stock: bool, status: str) -> None:
    program.maker().ship("b1", Made(by_stock=by_stock))
    program.maker().ship("b1", Made(node="n10"))
    found = ask(program, "names")
    assert found.status("names/neighbours") == {status}
    assert "n1 and n10 begin with each other" in found.said(status)


def test_a_restore_that_is_not_over(program: Program) -> None:
    state = program.directory / "state"
    state.mkdir()
    journal: dict[str, object] = {
        "phase": "placing",
        "backup": "b1",
        "node": "n1",
        "bucket": "x",
        "host_id": None,
        "places": [],
        "was_up": True,
        "boot_id": "b",
    }
    (state / "restore.json").write_text(json.dumps(journal))
    found = ask(program, "node")
    assert "a restore of b1 is not over (placing): do not start Cassandra by hand" in found.said("fail")
    assert "restore-node --undo takes it back" in found.said("fail")


def test_a_mark_that_keeps_cassandra_down_for_nothing(program: Program) -> None:
    state = program.directory / "state"
    state.mkdir()
    (state / "cassandra-stays-down").touch()
    found = ask(program, "node")
    assert f"{state / 'cassandra-stays-down'} keeps Cassandra down, and no restore is open here" in found.said("fail")


def test_a_state_directory_that_is_somebody_elses(program: Program) -> None:
    (program.directory / "state").write_text("")
    assert "node/state" in ask(program, "node").said("fail")


def test_the_probes_are_nobodys_backups(program: Program) -> None:
    program.maker().ship("b1")
    for key in (LAYOUT.node_probe("n1"), LAYOUT.announced_probe("n1"), LAYOUT.hold_probe()):
        program.store.create(key, b"x")
    run_index(program)
    head = read_head(program.store, LAYOUT)
    assert head
    assert [line.name for line in head.backups] == ["b1"]
    assert not [key for key in tree(program.bucket / "index/catalog") if "probe" in key]
