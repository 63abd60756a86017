"""``serve`` purges and reports at set times: the process, beside a bucket on disk and one on a gateway."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from backupstore.core.documents import encode
from backupstore.core.layout import Layout
from backupstore.core.purge_records import PurgeRecord, run_name
from backupstore.operations.purge_history import newest_purges
from backupstore.operations.reading import read_head
from backupstore.ports import ObjectStore
from backupstore.stores.local import LocalStore
from tests.functions.world import BUCKET, settings_of
from tests.harness.faulty_proxy import Fault, faulty_proxy, refusal
from tests.harness.forgetful import without_conditions
from tests.harness.s3_servers import S3Server, versitygw
from tests.harness.s3_stores import opened
from tests.shipper.cli.handmade import Made, Maker
from tests.shipper.cli.program import Program, Running, until

DAY = 86_400.0
RING = {f"n{number}": "dc1" for number in range(1, 5)}
NIGHTLY = ("reconcile_interval = 3600", "verify_interval = 0", "purge_schedule = 15 3 * * *")
TWO = "max_backup_count = 2"


@dataclass(frozen=True)
class Scene:
    """Four backups of four nodes, of which two are kept; ``folder``: where the files of the bucket lie."""

    program: Program
    store: ObjectStore
    folder: Path
    layout: Layout = field(default_factory=Layout)

    def fill(self, *names: str) -> None:
        """The first one is the oldest; each a day younger than the one before. The last is of today."""
        for days, name in enumerate(reversed(names)):
            before = self.files()
            for node in RING:
                files = {"nb-1-big-Data.db": b"shared", f"nb-{name[1:]}9-big-Data.db": name.encode()}
                Maker(self.store, self.layout).ship(name, Made(node, ring=RING, files=files))
            for path in self.files() - before:
                os.utime(path, (time.time() - days * DAY,) * 2)

    def files(self) -> set[Path]:
        return {path for path in self.folder.rglob("*") if path.is_file()}

    def purged_before(self, days: float, *, prefix: str | None = None) -> None:
        """The schedule has asked for a purge so long ago, and serve was down since."""
        at = time.time() - days * DAY
        layout = self.layout if prefix is None else Layout(prefix)
        record = PurgeRecord(revision="r", run=run_name(at, "0" * 8), created=at, scheduled=True, finished=at + 1)
        self.store.create(layout.purge(record.run), encode(record))

    def last(self) -> PurgeRecord:
        return next(newest_purges(self.store, self.layout))

    def runs(self) -> int:
        return sum(1 for _ in newest_purges(self.store, self.layout))

    def listed(self) -> list[str]:
        head = read_head(self.store, self.layout)
        return [line.name for line in head.backups] if head else []

    def data(self) -> set[str]:
        """The names of the data files of all nodes."""
        return {
            stored.key.rpartition("/")[2] for node in RING for stored in self.store.list(self.layout.shared_data(node))
        }

    def until_purged(self, server: Running, runs: int = 2) -> PurgeRecord:
        until(lambda: self.runs() == runs and self.last().finished is not None, 60, server.log.read_text)
        return self.last()


@contextmanager
def local(folder: Path, *shipper: str, storage: tuple[str, ...] = (TWO,)) -> Iterator[Scene]:
    program = Program(folder, storage=storage, shipper=(*NIGHTLY, *shipper))
    program.bucket.mkdir()
    yield Scene(program, LocalStore(program.bucket), program.bucket)


@contextmanager
def on_s3(folder: Path, *shipper: str, port: int = 0, gateway: S3Server | None = None) -> Iterator[Scene]:
    """On a gateway of its own: ``folder`` is where its files lie."""
    assert gateway is not None
    environment = {**settings_of(replace(gateway, port=port or gateway.port)), "MEDUSA_STORAGE_MAX_BACKUP_COUNT": "2"}
    with closing(opened(gateway, BUCKET)) as store:
        yield Scene(
            Program(folder, shipper=(*NIGHTLY, *shipper), environment=environment), store, folder / "gw/data" / BUCKET
        )


@contextmanager
def gateway_of(folder: Path) -> Iterator[S3Server]:
    (folder / "gw").mkdir()
    with versitygw(folder / "gw") as server:
        server.bucket(BUCKET)
        yield server


@pytest.fixture(params=["local", "versitygw"])
def scene(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Scene]:
    if request.param == "local":
        with local(tmp_path) as made:
            yield made
    else:
        with gateway_of(tmp_path) as gateway, on_s3(tmp_path, gateway=gateway) as made:
            yield made


def test_a_time_that_passed_while_serve_was_down_is_made_up_for_once(scene: Scene) -> None:
    scene.fill("b1", "b2", "b3", "b4")
    scene.purged_before(3)
    with scene.program.running("serve") as server:
        record = scene.until_purged(server)
        until(lambda: scene.listed() == ["b3", "b4"], 60, server.log.read_text)
        server.until_said("purge of the cluster: ")
        server.until_said("n1: ")
        server.process.terminate()
        assert server.process.wait(30) == 0
    assert record.scheduled
    assert record.deletes == {"b1", "b2"}
    assert record.is_done
    assert scene.data() == {"nb-1-big-Data.db", "nb-39-big-Data.db", "nb-49-big-Data.db"}
    with scene.program.running("serve") as server:
        server.until_said("purging by the schedule 15 3 * * * (UTC)")
        scene.fill("b5")
        until(lambda: "b5" in scene.listed(), 60, server.log.read_text)
        server.process.terminate()
        assert server.process.wait(30) == 0
    assert scene.runs() == 2, "the same night is not done again"


def test_nothing_is_deleted_unless_somebody_asked_for_it(tmp_path: Path) -> None:
    with local(tmp_path) as scene:
        scene.fill("b1", "b2", "b3", "b4")
        scene.purged_before(3)
        with Program(tmp_path, storage=(TWO,), shipper=NIGHTLY[:2]).running("serve") as server:
            until(lambda: len(scene.listed()) == 4, 60, server.log.read_text)
            scene.fill("b5")
            until(lambda: "b5" in scene.listed(), 60, server.log.read_text)
        assert scene.runs() == 1


def test_the_first_time_is_the_first_after_the_start(tmp_path: Path) -> None:
    with local(tmp_path) as scene:
        scene.fill("b1", "b2", "b3", "b4")
        with scene.program.running("serve") as server:
            until(lambda: len(scene.listed()) == 4, 60, server.log.read_text)
            scene.fill("b5")
            until(lambda: "b5" in scene.listed(), 60, server.log.read_text)
        assert scene.runs() == 0


def test_the_brake_is_obeyed_and_told_with_what_to_do(tmp_path: Path) -> None:
    with local(tmp_path, "purge_max_share = 10%") as made:
        told = {"MEDUSA_MONITORING_MONITORING_PROVIDER": "local"}
        scene = replace(made, program=replace(made.program, environment=told))
        scene.fill("b1", "b2", "b3", "b4")
        scene.purged_before(3)
        with scene.program.running("serve") as server:
            record = scene.until_purged(server)
            server.until_said("purge of the cluster: This would delete 2 of 4 complete backups")
            server.until_said("→ Look at the plan with 'purge --dry-run'")
            assert server.said("ERROR")
            server.until_said('"purge-error", ""], "value": 1}')
        assert record.braked
        assert record.scheduled
        assert scene.listed() == ["b1", "b2", "b3", "b4"]
        with scene.program.running("serve") as server:
            scene.fill("b5")
            until(lambda: "b5" in scene.listed(), 60, server.log.read_text)
        assert scene.runs() == 2, "it is not tried again before the next time"


def test_every_cluster_that_it_serves_is_purged(tmp_path: Path) -> None:
    with local(tmp_path) as whole:
        for prefix in ("east", "west"):
            scene = replace(whole, layout=Layout(prefix))
            scene.fill("b1", "b2", "b3")
            scene.purged_before(3)
        with whole.program.running("--prefix", "east", "serve") as server:
            replace(whole, layout=Layout("east")).until_purged(server)
        west = replace(whole, layout=Layout("west"))
        assert west.runs() == 1
        with whole.program.running("serve") as server:
            west.until_purged(server)
            until(lambda: west.listed() == ["b2", "b3"], 60, server.log.read_text)


def test_a_purge_holds_up_neither_the_list_of_backups_nor_the_end_and_the_next_one_goes_on(tmp_path: Path) -> None:
    with (
        gateway_of(tmp_path) as gateway,
        faulty_proxy(gateway.host, gateway.port) as proxy,
        on_s3(tmp_path, "poll_interval = 1", gateway=gateway, port=proxy.port) as scene,
    ):
        scene.fill("b1", "b2", "b3", "b4")
        scene.purged_before(3)
        # The store gives no answer to whoever deletes: not even when the process has to end.
        stuck = [Fault("POST", "delete", delay=60.0) for _ in range(1000)]
        proxy.faults += stuck
        with scene.program.running("serve") as server:
            until(lambda: any(fault.struck for fault in stuck), 60, server.log.read_text)
            Maker(scene.store, scene.layout).ship("b5", Made("n1", ring=RING, files={"nb-59-big-Data.db": b"b5"}))
            until(lambda: "b5" in scene.listed(), 60, server.log.read_text)
            assert scene.last().finished is None, "it has not ended yet"
            server.process.send_signal(signal.SIGTERM)
            assert server.process.wait(30) == 0
            assert server.said("stopped")
            assert not server.said("Traceback"), server.log.read_text()
        proxy.faults.clear()
        killed = scene.last()
        assert (killed.scheduled, killed.finished) == (True, None)
        with scene.program.running("serve") as server:
            until(lambda: all(each.finished for each in newest_purges(scene.store, scene.layout)), 60)
            until(lambda: scene.listed() == ["b3", "b4", "b5"], 60, server.log.read_text)
        assert scene.last().is_done
        assert scene.data() == {"nb-1-big-Data.db", "nb-39-big-Data.db", "nb-49-big-Data.db", "nb-59-big-Data.db"}


def test_a_purge_of_the_command_line_ends_as_quickly_and_says_how_to_go_on(tmp_path: Path) -> None:
    with (
        gateway_of(tmp_path) as gateway,
        faulty_proxy(gateway.host, gateway.port) as proxy,
        on_s3(tmp_path, gateway=gateway, port=proxy.port) as scene,
    ):
        scene.fill("b1", "b2", "b3", "b4")
        assert scene.program.run("build-index").code == 0
        stuck = [Fault("POST", "delete", delay=60.0) for _ in range(1000)]
        proxy.faults += stuck
        with scene.program.running("purge") as purge:
            until(lambda: any(fault.struck for fault in stuck), 60, purge.log.read_text)
            purge.process.send_signal(signal.SIGTERM)
            assert purge.process.wait(30) == 130
            assert purge.said("Run it again: the next purge goes on with it.")
            assert not purge.said("Traceback"), purge.log.read_text()
        proxy.faults.clear()
        done = scene.program.run("purge")
        assert done.code == 0, done.err
        assert scene.listed() == ["b3", "b4"]
        assert scene.data() == {"nb-1-big-Data.db", "nb-39-big-Data.db", "nb-49-big-Data.db"}


def test_trouble_with_one_node_is_told_and_the_others_are_done(tmp_path: Path) -> None:
    with (
        gateway_of(tmp_path) as gateway,
        faulty_proxy(gateway.host, gateway.port) as proxy,
        on_s3(tmp_path, gateway=gateway, port=proxy.port) as scene,
    ):
        scene.fill("b1", "b2", "b3", "b4")
        scene.purged_before(3)
        forbidden = refusal(403, "AccessDenied")
        proxy.faults += [Fault("PUT", "index/condemned/n2/", answer=forbidden) for _ in range(1000)]
        with scene.program.running("serve") as server:
            record = scene.until_purged(server)
            server.until_said("purge of the cluster: it failed on 1 node.")
        assert {one.node for one in record.results if one.error} == {"n2"}
        assert {one.node for one in record.results if one.done} == {"n1", "n3", "n4"}
        done = scene.program.run("purge")
        assert (done.code, "Purge failed on 1 node." in done.err) == (1, True), done.err
        assert "Not done on n2: the next purge goes on there." in done.out
        proxy.faults.clear()
        done = scene.program.run("purge")
        assert done.code == 0, done.err
        assert scene.data() == {"nb-1-big-Data.db", "nb-39-big-Data.db", "nb-49-big-Data.db"}


def test_one_single_writer_purges_where_the_store_knows_no_conditions(tmp_path: Path) -> None:
    with (
        gateway_of(tmp_path) as gateway,
        faulty_proxy(gateway.host, gateway.port) as proxy,
        on_s3(tmp_path, gateway=gateway, port=proxy.port) as scene,
    ):
        proxy.rewrite = without_conditions(gateway)
        scene.fill("b1", "b2", "b3", "b4")
        scene.purged_before(3)
        with scene.program.running("serve") as server:
            server.until_said("this store knows no conditional writes")
            scene.until_purged(server)
            until(lambda: scene.listed() == ["b3", "b4"], 60, server.log.read_text)
        assert not server.said("ERROR"), server.log.read_text()
