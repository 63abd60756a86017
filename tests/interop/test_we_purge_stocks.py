"""Our purge of a bucket that stock has written, full and differential, of two nodes; then stock goes on as if nothing was.

The nodes are directories, but all of stock from the snapshot on is its own (``recorded_stock``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.harness.s3_servers import S3Server, versitygw
from tests.interop.recorded_stock import Turns, turns
from tests.interop.stock_index import check_index, check_markers
from tests.life.hatchery import Hatchery, hatchery
from tests.recorded import RecordedNode
from tests.shipper.cli.program import Done

pytestmark = pytest.mark.stock

MODES = {"s1": "full", "s2": "differential", "s3": "full", "s4": "differential"}
KEPT = {"s3": "full", "s4": "differential"}
SECOND = "10.0.0.2"
PLACES = ("local, no prefix", "S3, prefix")


@dataclass(frozen=True)
class Pair:
    """Two nodes of a ring, one bucket. ``named``: what the manifests named when they were written, by backup."""

    nodes: tuple[Turns, ...]
    named: dict[str, frozenset[str]]
    hatchery: Hatchery

    @property
    def first(self) -> Turns:
        return self.nodes[0]

    @property
    def names(self) -> list[str]:
        return [node.fqdn for node in self.nodes]

    @property
    def root(self) -> str:
        return self.first.place.root

    @property
    def is_local(self) -> bool:
        return self.first.place.name == "local"

    def stock_backs_up(self, name: str, mode: str) -> None:
        """All nodes; after it, something is flushed and something compacted."""
        for node in self.nodes:
            node.stock_backs_up(name, mode)
            node.ours.node.flush()
            node.ours.node.compact("shop.orders")
        self.named[name] = frozenset[str]().union(*(node.manifest(name) for node in self.nodes))

    def named_by(self, names: Iterable[str]) -> frozenset[str]:
        return frozenset[str]().union(*(self.named[name] for name in names))

    def ours(self, *arguments: str) -> Done:
        """Our program, on a machine with stock's file. It went well."""
        ini = self.first.stock.write_ini()
        lines = [
            "[shipper]",
            f"state_dir = {ini.parent / 'state'}",
        ]
        (ini.parent / "medusa-shipper.ini").write_text("\n".join([*lines, ""]))
        done = self.hatchery.run(ini, *arguments)
        assert done.code == 0, done.out + done.err
        return done

    def check(self, backups: dict[str, str]) -> None:
        """Both list exactly these, and find all of them whole; the index has their rows and no others."""
        listed = self.first.stock.list_backups()
        assert [(each["name"], each["backup_type"], each["completed_nodes"]) for each in listed] == [
            (name, mode, len(self.nodes)) for name, mode in backups.items()
        ]
        ours = self.ours("list-backups", "--show-all", "--output", "json").json
        assert [(each["name"], each["state"]) for each in ours] == [(name, "complete") for name in backups]
        for name in backups:
            assert self.first.stock_verifies(name)
            level = "structure" if self.is_local else "content"
            found = self.ours("verify", "--backup-name", name, "--level", level, "--output", "json").json
            assert (found["ok"], found["nodes"], found["objects"]) == (True, len(self.nodes), len(self.named[name]))
        check_index(self.first.place.look(), self.root, backups, self.names)
        check_markers(lambda key: self.first.ours.store.read(key).body, self.root, list(backups)[-1], self.names)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with versitygw(tmp_path_factory.mktemp("s3")) as running:
        yield running


@pytest.fixture(scope="module")
def born(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hatchery]:
    with hatchery(tmp_path_factory.mktemp("said") / "here") as made:
        yield made


@pytest.fixture
def pair(request: pytest.FixtureRequest, tmp_path: Path, server: S3Server, born: Hatchery) -> Pair:
    """Four backups by stock, of which two are to stay."""
    on_s3 = request.param.startswith("S3")
    made = turns(tmp_path / "one", server if on_s3 else None, prefix="east" if on_s3 else "")
    place = replace(made.place, storage={**made.place.storage, "max_backup_count": str(len(KEPT))})
    one = replace(made, place=place, ours=replace(made.ours, node=RecordedNode(made.ours.node.base)))
    other = RecordedNode.make(tmp_path / "two" / "node", disks=1, seed=2, address=SECOND)
    two = replace(one, ours=replace(one.ours, node=other), folder=tmp_path / "two")
    found = Pair((one, two), {}, born)
    for name, mode in MODES.items():
        found.stock_backs_up(name, mode)
    found.ours("build-index")
    return found


@pytest.mark.parametrize("pair", PLACES, indirect=True)
def test_the_right_ones_go_and_stock_goes_on(pair: Pair) -> None:
    gone = pair.named_by(["s2"]) - pair.named_by(KEPT)
    assert any("/data/" in key for key in gone), "shared data goes, too"
    pair.ours("purge", "--stock-is-idle")
    assert pair.first.data() == pair.named_by(KEPT)
    pair.check(KEPT)

    pair.stock_backs_up("s5", "differential")
    for node in pair.nodes:
        node.stock.run("--backup-grace-period-in-days", "0", "purge").check()
    assert pair.first.data() == pair.named_by(["s4", "s5"])
    pair.ours("serve", "--once")
    pair.stock_backs_up("s6", "full")
    pair.ours("serve", "--once")
    pair.ours("purge", "--stock-is-idle")
    assert pair.first.data() == pair.named_by(["s5", "s6"])
    pair.check({"s5": "differential", "s6": "full"})


@pytest.mark.parametrize("pair", PLACES[1:], indirect=True)
def test_while_stock_may_be_at_work_shared_data_stays_and_everything_else_goes(pair: Pair) -> None:
    done = pair.ours("purge")
    assert "stock wrote" in done.err
    assert "--stock-is-idle sweeps it" in done.err
    whole = {key for key in pair.named["s1"] if "/s1/data/" in key}
    assert pair.first.data() == pair.named_by(MODES) - whole
    pair.check(KEPT)
    pair.ours("--backup-grace-period-in-days", "0", "purge", "--stock-is-idle")
    assert pair.first.data() == pair.named_by(KEPT)
    assert pair.first.stock_verifies("s4")
