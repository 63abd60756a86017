"""Stock and we back one node up in turns: nobody uploads twice, nobody is harmed, and what stock overwrites is found."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from backupstore.core import layout as grammar
from backupstore.core.documents import Damaged, Mode, decode
from backupstore.errors import Refused
from backupstore.operations.reading import read_head, survey
from backupstore.operations.reconcile import reconcile
from backupstore.operations.truth import read_fact
from shipper.restore.look import read_backup
from tests.harness.s3_servers import S3Server, versitygw
from tests.interop.recorded_stock import Turns, exchange, turns
from tests.recorded import NAME, RecordedNode

pytestmark = pytest.mark.stock


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with versitygw(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture(params=["local, no prefix", "S3, prefix"])
def both(request: pytest.FixtureRequest, tmp_path: Path, server: S3Server) -> Turns:
    return turns(tmp_path, None) if request.param.startswith("local") else turns(tmp_path, server, prefix="east")


@pytest.fixture
def on_s3(tmp_path: Path, server: S3Server) -> Turns:
    return turns(tmp_path, server)


@pytest.fixture
def locally(tmp_path: Path) -> Turns:
    return turns(tmp_path, None)


def overwrite(both: Turns, by: str) -> tuple[Path, Path, str]:
    """A component changes its size under its name, and stock overwrites it. Returns file, old file, and key."""
    path = both.ours.node.live("*-Filter.db")[0]
    aside = exchange(path, path.read_bytes() + b"more")
    both.stock_backs_up(by)
    (key,) = (key for key in both.manifest(by) if key.endswith("/".join(path.parts[-3:])))
    return path, aside, key


def damaged(both: Turns, name: str) -> Damaged | None:
    body = both.ours.meta(name).get(grammar.DAMAGED)
    return decode(Damaged, body, name) if body else None


def test_going_on_from_stock_uploads_nothing_again(both: Turns) -> None:
    both.stock_backs_up("s1", "full")
    both.stock_backs_up("s2")
    before = both.data()
    report = both.ours.back_up("o1")
    assert (report.totals.new_files, both.data()) == (0, before)
    both.forget()
    assert both.ours.back_up("o2").totals.new_files == 0
    both.ours.check_backup("o2", both.ours.node.contents())
    assert both.ours.listener.warnings == []


def test_stock_going_on_from_us_uploads_nothing_again(both: Turns) -> None:
    both.ours.back_up("o1")
    before = both.place.look()
    both.stock_backs_up("s1")
    after = both.place.look()
    assert {key: after[key] for key in before} == before
    assert both.manifest("s1").keys() == both.manifest("o1").keys()


def test_nobody_is_harmed_while_nothing_is_overwritten(on_s3: Turns) -> None:
    """Flushes, compactions and files rewritten with the same size: what happens on a node that is not wiped."""
    both, node, contents = on_s3, on_s3.ours.node, dict[str, dict[str, bytes]]()
    happenings: list[Callable[[], None]] = [node.flush, node.rewrite_statistics, lambda: node.compact("shop.orders")]
    modes: list[Mode] = ["differential", "full", "differential"]
    for turn, happening in enumerate(happenings):
        both.stock_backs_up(f"s{turn}", modes[turn - 1])
        happening()
        contents[f"o{turn}"] = node.contents()
        both.ours.back_up(f"o{turn}", modes[turn])
        happenings[turn - 1]()
    both.stock_backs_up("s3")
    for name, content in contents.items():
        both.ours.check_backup(name, content)
    assert all(both.stock_verifies(f"s{turn}") for turn in range(4))
    assert both.ours.listener.warnings == []


def test_one_cluster_backup_of_which_each_makes_a_part(locally: Turns, tmp_path: Path) -> None:
    """While nodes are changed over one by one."""
    whole = replace(locally.ours, node=RecordedNode(locally.ours.node.base))
    other = RecordedNode.make(tmp_path / "other", disks=1, seed=2, address="10.0.0.2")
    theirs = replace(locally, ours=replace(whole, node=other), folder=tmp_path / "theirs")
    for name, mode in (("b1", "full"), ("b2", "differential")):
        theirs.stock_backs_up(name, mode)
        whole.back_up(name, "full" if mode == "full" else "differential")
    reconcile(whole.store, whole.layout, now=1.0, revision=lambda: f"r{time.monotonic_ns()}")
    head = read_head(whole.store, whole.layout)
    assert head is not None
    assert [(line.name, line.state, line.completed) for line in head.backups] == [
        ("b1", "complete", 2),
        ("b2", "complete", 2),
    ]
    assert [(each["name"], each["completed_nodes"]) for each in theirs.stock.list_backups()] == [("b1", 2), ("b2", 2)]
    assert theirs.stock_verifies("b1")
    assert theirs.stock_verifies("b2")


def test_what_stock_overwrote_is_reported_and_the_next_backup_is_whole(both: Turns) -> None:
    both.ours.back_up("o1")
    *_, key = overwrite(both, "s1")
    content = both.ours.node.contents()
    both.ours.back_up("o2")

    (warning,) = both.ours.listener.warnings
    assert warning.startswith("o1 cannot be restored whole any more: 1 of its files")
    assert key in warning
    document = damaged(both, "o1")
    assert document is not None
    assert [(file.path, document.by) for file in document.files] == [(key, "o2")]
    assert "corrupt" in both.ours.announced("o1")
    both.ours.check_backup("o2", content)
    assert damaged(both, "o2") is damaged(both, "s1") is None
    assert both.stock_verifies("s1"), "stock's own backup is as it was"

    both.ours.back_up("o3")
    assert len(both.ours.listener.warnings) == 1, "it is told once"


def test_a_damaged_backup_is_listed_as_corrupt_and_not_restored(locally: Turns) -> None:
    both = locally
    both.ours.back_up("o1")
    *_, key = overwrite(both, "s1")
    both.ours.back_up("o2")
    fact = read_fact(both.ours.store, both.ours.layout, node=NAME, backup="o1").fact
    assert fact is not None
    assert fact.corrupt == 1
    head = survey(both.ours.store, both.ours.layout, now=1.0, revision=lambda: "r").head
    assert {line.name: line.state for line in head.backups} == {"o1": "corrupt", "s1": "complete", "o2": "complete"}
    with pytest.raises(Refused, match="lost files after it was made") as refusal:
        read_backup(both.ours.site, "o1")
    assert key in refusal.value.message


def test_what_the_node_still_holds_is_shipped_anew(both: Turns) -> None:
    both.ours.back_up("o1")
    path, aside, key = overwrite(both, "s1")
    aside.rename(path)  # the very file that o1 shipped, and that we remember
    before = both.data()
    both.ours.back_up("o2")
    new = both.data() - before
    assert [each.partition("/data-v/")[2].partition("/")[2] for each in new] == ["/".join(path.parts[-3:])]
    both.ours.check_backup("o2", both.ours.node.contents())
    assert both.stock_verifies("s1")
    assert len(both.ours.listener.warnings) == 1
    assert both.ours.back_up("o3").totals.new_files == 0
    assert key not in both.manifest("o3")


def test_a_lost_memory_finds_the_same_damage(on_s3: Turns) -> None:
    both = on_s3
    both.ours.back_up("o1")
    overwrite(both, "s1")
    both.forget()
    both.ours.back_up("o2")
    assert damaged(both, "o1") is not None


def test_stocks_own_backups_that_it_damaged_are_told_too(locally: Turns) -> None:
    both = locally
    both.stock_backs_up("s1")
    overwrite(both, "s2")
    assert not both.stock_verifies("s1")
    both.ours.back_up("o1")
    assert damaged(both, "s1") is not None
    assert damaged(both, "s2") is None
    assert "s1, which stock Medusa made," in both.ours.listener.warnings[0]


def test_content_of_the_same_size_is_told_by_its_digest(on_s3: Turns) -> None:
    """With its MD5 checks on, stock overwrites what has the same size, too."""
    both = on_s3
    both.ours.back_up("o1")
    both.ours.node.restart_generations()
    both.stock_backs_up("s1", md5=True)
    assert both.stock_verifies("s1")
    both.ours.back_up("o2")
    document = damaged(both, "o1")
    assert document is not None
    assert document.count > len(document.files) / 2 > 0
    both.ours.check_backup("o2", both.ours.node.contents())


def test_a_local_object_written_again_is_read_to_be_judged(locally: Turns) -> None:
    both = locally
    both.ours.back_up("o1")
    bucket = Path(both.place.storage["base_path"]) / "bucket"
    same, other = (bucket / key for key in list(both.manifest("o1"))[:2])
    shutil.copyfile(same, bucket / "copy")
    (bucket / "copy").rename(same)
    other.write_bytes(bytes(other.stat().st_size))
    for path in (same, other):
        os.utime(path, (time.time() + 5, time.time() + 5))
    both.ours.back_up("o2")
    document = damaged(both, "o1")
    assert document is not None
    assert [bucket / file.path for file in document.files] == [other]
    both.ours.check_backup("o2", both.ours.node.contents())


def test_what_stocks_purge_swept_away_is_reported_and_shipped_anew(both: Turns) -> None:
    """Our rows are not in stock's index here, as where no indexer runs: stock takes our files for nobody's."""
    both.ours.back_up("o1")
    both.stock_backs_up("s1")
    both.ours.node.flush()
    both.ours.back_up("o2")
    ours_alone = set(both.manifest("o2")) - set(both.manifest("s1"))
    assert ours_alone
    both.stock.run("--backup-grace-period-in-days", "0", "delete-backup", "--backup-name", "s1").check()
    both.ours.back_up("o3")
    assert {name for name in ("o1", "o2") if damaged(both, name)} == {"o1", "o2"}
    both.ours.check_backup("o3", both.ours.node.contents())
