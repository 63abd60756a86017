"""Stock Medusa 0.31 reads what we write: every kind of backup, and the index at every moment of its being written.

The node is recorded, so that no Cassandra is needed. Stock's listing has a side effect: it removes index rows whose
``schema.cql`` is missing. So it is let loose on copies, and what it left of them is compared.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from backupstore.core import layout as grammar
from backupstore.core.documents import Abandoned, Mode, encode
from backupstore.core.events import Subject
from backupstore.core.layout import Layout
from backupstore.operations.index import index
from backupstore.operations.reconcile import reconcile
from backupstore.ports import ObjectStore
from backupstore.stores.local import LocalStore
from shipper.backup import Limits, Report, back_up
from shipper.begin import Request
from shipper.progress import Silent
from shipper.site import Site
from shipper.snapshot import Filters
from shipper.state import StateDirectory
from tests.clocks import SettableClock
from tests.harness.stock import Stock, python
from tests.interleaving import Around
from tests.interop.recorded_stock import Alone
from tests.recorded import NAME, RecordedNode
from tests.shipper.cli.handmade import Made, Maker

pytestmark = pytest.mark.stock

OTHER = "10.0.0.2"

# Lists every directory below the one given, in one process: a run of the whole program takes more than a second.
LIST_ALL = """
import collections, json, pathlib, sys
from medusa.config import load_config
from medusa.storage import Storage

config = load_config(collections.defaultdict(lambda: None), pathlib.Path(sys.argv[1])).storage
for number, directory in enumerate(sorted(pathlib.Path(sys.argv[2]).iterdir())):
    with Storage(config=config._replace(base_path=str(directory))) as storage:
        try:
            found = [backup.to_json_dict() for backup in storage.list_cluster_backups()]
        except BaseException as error:
            found = repr(error)
    print(json.dumps(found), flush=True)
"""


@dataclass
class Shared:
    """A bucket that we write and stock reads; ``prefix`` may be empty."""

    directory: Path
    prefix: str
    node: RecordedNode
    _revisions: Any = field(default_factory=count)

    @property
    def layout(self) -> Layout:
        return Layout(self.prefix)

    @property
    def store(self) -> LocalStore:
        return LocalStore(self.directory / "bucket")

    @property
    def maker(self) -> Maker:
        return Maker(self.store, self.layout)

    def stock(self, fqdn: str = NAME) -> Stock:
        work = self.directory / "stock"
        work.mkdir(exist_ok=True)
        return Stock(work=work, base_path=self.directory, prefix=self.prefix or None, fqdn=fqdn)

    def back_up(self, name: str, mode: Mode = "differential", *, tables: tuple[str, ...] = ()) -> Report:
        state = StateDirectory(self.directory / "state")
        site = Site(self.store, self.layout, self.node, NAME, state, SettableClock(), "bucket")
        return back_up(site, Request(name, mode, Filters(tables=tables)), Limits(workers=2), Silent())

    def index(self, *node_backups: tuple[str, str], store: ObjectStore | None = None) -> None:
        subjects = [Subject(self.prefix, node, backup) for node, backup in node_backups]
        assert not index(store or self.store, subjects, now=1.0, revision=lambda: f"r{next(self._revisions)}").failed

    def reconcile(self) -> None:
        report = reconcile(self.store, self.layout, now=1.0, revision=lambda: f"r{next(self._revisions)}")
        assert not report.unreadable

    def listed(self) -> dict[str, dict[str, Any]]:
        return {backup["name"]: backup for backup in self.stock().list_backups()}

    def said_by_status(self, name: str) -> str:
        return self.stock().run("status", "--backup-name", name).check().stdout

    def must_verify(self, name: str, *options: str) -> None:
        done = self.stock().run("verify", "--backup-name", name, *options).check()
        assert "- Completion: OK!\n- Manifest validated: OK!!" in done.stdout, done.stdout + done.stderr

    def downloaded(self, name: str) -> dict[str, bytes]:
        """What stock brings down, by ``KS/CF/[IDX/]file``."""
        target = self.directory / f"downloaded-{name}"
        target.mkdir()
        self.stock().run("download", "--backup-name", name, "--download-destination", str(target)).check()
        files = (path for path in target.rglob("*") if path.is_file() and path.parent != target)
        return {path.relative_to(target).as_posix(): path.read_bytes() for path in files}


@pytest.fixture(params=["", "east"], ids=["no prefix", "prefix"])
def shared(request: pytest.FixtureRequest, tmp_path: Path) -> Shared:
    RecordedNode.make(tmp_path / "node", disks=1)
    (tmp_path / "bucket").mkdir()
    return Shared(tmp_path, request.param, Alone(tmp_path / "node"))


def test_full_differential_and_changed_under_the_same_name(shared: Shared) -> None:
    contents = {}
    happenings: list[tuple[str, Mode, Callable[[], object]]] = [
        ("full", "full", lambda: None),
        ("first", "differential", lambda: None),
        ("more", "differential", shared.node.flush),
        ("rewritten", "differential", shared.node.rewrite_statistics),
        ("wiped", "differential", shared.node.restart_generations),
    ]
    for name, mode, happening in happenings:
        happening()
        contents[name] = shared.node.contents()
        shared.back_up(name, mode)
    shared.reconcile()
    assert any(
        stored.key.startswith(shared.layout.versioned_data(NAME)) for stored in shared.store.list(shared.layout.root)
    ), "content went beside its plain key"

    listed = shared.listed()
    assert {name: backup["backup_type"] for name, backup in listed.items()} == {
        name: mode for name, mode, _ in happenings
    }
    for name, content in contents.items():
        assert listed[name]["finished"]
        assert listed[name]["num_objects"] == len(content)
        assert listed[name]["size"] == sum(map(len, content.values()))
        shared.must_verify(name)
        assert shared.downloaded(name) == content
    shared.must_verify("wiped", "--enable-md5-checks")
    assert "- 1 nodes completed, 0 nodes incomplete, 0 nodes missing" in shared.said_by_status("wiped")


def test_two_nodes_of_which_one_comes_late(shared: Shared) -> None:
    whole = RecordedNode(shared.directory / "node")
    shared.node = whole
    shared.back_up("b1")
    shared.reconcile()
    waiting = shared.listed()["b1"]
    assert (waiting["finished"], waiting["missing_nodes_list"]) == (None, [OTHER])
    ring = {NAME: "dc1", OTHER: "dc1"}
    shared.maker.begin("b1", Made(OTHER, ring=ring))
    shared.reconcile()
    begun = shared.listed()["b1"]
    assert [node["fqdn"] for node in begun["incomplete_nodes_list"]] == [OTHER]
    assert shared.stock().run("verify", "--backup-name", "b1").exit_code == 1
    shared.maker.finish("b1", Made(OTHER, ring=ring))
    shared.reconcile()
    complete = shared.listed()["b1"]
    assert (complete["completed_nodes"], complete["missing_nodes"]) == (2, 0)
    shared.must_verify("b1")


def test_partial_corrupt_and_given_up_ones(shared: Shared) -> None:
    shared.back_up("part", tables=("shop.orders",))
    shared.node.corrupt("shop.readings", "Data.db")
    assert not shared.back_up("bad").is_good
    shared.maker.begin("begun", Made(NAME, ring={NAME: "dc1"}))
    shared.index((NAME, "begun"))
    assert shared.listed()["begun"]["finished"] is None
    shared.maker.ship("left", Made(NAME, ring={NAME: "dc1"}, end="data", abandoned=True))
    abandon(shared, "begun")
    shared.reconcile()
    assert set(shared.listed()) == {"part", "bad"}, "stock has no word for what was given up"
    shared.must_verify("part")
    shared.must_verify("bad")


def test_what_it_says_of_the_latest_backup(shared: Shared) -> None:
    for name in ("b1", "b2"):
        shared.back_up(name)
    for file in ("schema.cql", "manifest.json"):  # stock compares whole seconds
        os.utime(shared.directory / "bucket" / shared.layout.meta(NAME, "b1", file), (1e9, 1e9))
    shared.reconcile()
    done = shared.stock().run("report-last-backup").check()
    assert "Latest node backup finished" in done.stderr
    assert "- Name: b2" in done.stderr
    assert "will try rebuild" not in done.stderr.lower()
    assert shared.stock().run("get-last-complete-cluster-backup").check().stdout.strip() == "b2"


def abandon(shared: Shared, backup: str, node: str = NAME) -> None:
    document = encode(Abandoned(node=node, backup=backup, by="later", at=1.0))
    shared.store.create(shared.layout.meta(node, backup, grammar.ABANDONED), document)


class Stops(Around):
    """Keeps a copy of the bucket as it is after each of the indexer's calls that write."""

    def __init__(self, shared: Shared, copies: Path) -> None:
        super().__init__(shared.store)
        self._bucket = shared.directory / "bucket"
        self._copies = copies
        self.act = "start"

    def after(self, call: str) -> None:
        number = len(list(self._copies.iterdir()))
        target = self._copies / f"{number:04} {self.act} {call}" / "bucket"
        shutil.copytree(self._bucket, target, copy_function=os.link)


def rows(bucket: Path, layout: Layout) -> set[str]:
    return {path.name for path in (bucket / layout.all_rows()).rglob("*") if path.is_file()}


def test_no_moment_of_indexing_stops_its_listing(shared: Shared, tmp_path: Path) -> None:
    copies = tmp_path / "copies"
    copies.mkdir()
    stops = Stops(shared, copies)
    ring = {"n1": "dc1", "n2": "dc1"}
    one, other = Made("n1", ring=ring), Made("n2", ring=ring, mode="full")

    def act(name: str, done: Callable[[], object], *node_backups: tuple[str, str]) -> None:
        stops.act = name
        done()
        shared.index(*node_backups, store=stops)

    def ship_both() -> None:
        for made in (one, other):
            shared.maker.ship("b3", made)

    act("begin", lambda: shared.maker.begin("b1", one), ("n1", "b1"))
    act("finish", lambda: shared.maker.finish("b1", one), ("n1", "b1"))
    act("another node", lambda: shared.maker.ship("b1", other), ("n2", "b1"))
    act("begin another", lambda: shared.maker.begin("b2", one), ("n1", "b2"))
    act("give it up", lambda: abandon(shared, "b2", "n1"), ("n1", "b2"))
    act("both at once", ship_both, ("n1", "b3"), ("n2", "b3"))

    before = {copy.name: rows(copy / "bucket", shared.layout) for copy in sorted(copies.iterdir())}
    assert len(before) > 40
    shared.listed()  # writes the ini file that its own code reads now
    command = [str(python()), "-c", LIST_ALL, str(shared.directory / "stock/medusa.ini"), str(copies)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    for (name, held), line in zip(before.items(), done.stdout.splitlines(), strict=True):
        found = json.loads(line)
        assert isinstance(found, list), f"{name}: {found}"
        assert rows(copies / name / "bucket", shared.layout) == held, f"{name}: stock removed rows"
        for backup in found:
            for node in backup["nodes"]:
                manifest = shared.layout.meta(node["fqdn"], backup["name"], grammar.MANIFEST)
                assert (copies / name / "bucket" / manifest).exists(), name
            # What decides the mode is there before the row can be seen.
            assert backup["backup_type"] == "differential", name
    assert [(backup["name"], bool(backup["finished"])) for backup in found] == [("b1", True), ("b3", True)]
