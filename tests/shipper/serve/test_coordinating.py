"""``serve`` with a signing key: it coordinates jobs of nodes that the test plays, beside all else that it does."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from backupstore.core.events import ObjectEvent
from backupstore.core.job_documents import OVER
from backupstore.core.layout import Layout
from backupstore.errors import Denied, Retryable
from backupstore.operations.job_upkeep import KEPT
from backupstore.operations.reconcile import reconcile
from backupstore.ports import ObjectStore
from backupstore.stores.checked import CheckedStore
from backupstore.stores.memory import MemoryBucket
from shipper.coordinating import Coordinating
from shipper.inbox import Inbox
from tests.clocks import SettableClock
from tests.played_nodes import SEED, Pair, PlayedCluster, cluster, pair
from tests.shipper.cli.handmade import Made
from tests.shipper.cli.program import Program, until
from tests.shipper.serve.served import states

NOON = 1_800_014_400.0
DAY = 86_400.0


@pytest.fixture
def keys(tmp_path: Path) -> Pair:
    return pair(tmp_path / "keys")


def program_of(folder: Path, keys: Pair, *lines: str) -> Program:
    made = Program(folder, shipper=(f"signing_key_file = {keys.private}", "coordinate_interval = 1", *lines))
    made.bucket.mkdir(parents=True, exist_ok=True)
    return made


def played(there: PlayedCluster, job: str, end: str) -> None:
    """Let the nodes obey until the job has come to this end."""

    def is_over() -> bool:
        there.turn()
        return there.phase(job) in OVER

    until(is_over, 60, lambda: str(there.job(job)))
    assert there.phase(job) == end


def test_a_restore_is_led_to_its_end_beside_all_else(tmp_path: Path, keys: Pair) -> None:
    program = program_of(tmp_path, keys)
    there = cluster(program.store, "p", keys.keys)
    with program.running("serve") as server:
        server.until_said("coordinating cluster restores and backups with the key")
        program.maker("p").ship("b1", Made(ring={"n1": "dc1"}))
        until(lambda: states(program, "p") == {"b1": "complete"}, 30, server.log.read_text)
        job = there.ask()
        played(there, job, "committed")
        assert there.obeyed == [SEED] * 3
        program.maker("p").ship("b2", Made(ring={"n1": "dc1"}))
        until(lambda: "b2" in states(program, "p"), 30, server.log.read_text)
        assert server.said(f"job {job}: committed")
        assert not server.said(keys.secret)
        server.process.terminate()
        assert server.process.wait(30) == 0


def test_a_failure_on_the_way_back_waits_for_a_wish(tmp_path: Path, keys: Pair) -> None:
    """Where nothing but looking tells of what is asked."""
    program = program_of(tmp_path, keys, "watch = poll", "poll_interval = 1")
    there = cluster(program.store, "", keys.keys)
    there.nodes[2].answers = {"start": "failed"}
    with program.running("serve") as server:
        server.until_said("looking every 1 seconds")
        job = there.ask()

        def waits() -> bool:
            there.turn()
            found = there.job(job)
            return found is not None and found.phase == "restarting" and bool(found.waiting)

        until(waits, 60, server.log.read_text)
        server.until_said(f"job {job} waits: n3: start failed: as the test wants it")
        there.nodes[2].answers = {}
        there.wish(job, "resume")
        played(there, job, "rolled-back")
    assert there.nodes[0].obeyed == ["prepare", "stop", "place", "start", "put-back", "start"]


def test_two_of_them_and_killed_ones_change_nothing(tmp_path: Path, keys: Pair) -> None:
    program = program_of(tmp_path, keys)
    there = cluster(program.store, "p", keys.keys)
    jobs = [there.ask(number=1), there.ask(number=2)]

    def done() -> bool:
        return all(there.phase(job) in OVER for job in jobs)

    with program.running("serve"):
        for _ in range(20):
            with program.running("serve"):
                before = there.obeyed[0].copy()

                def moved(before: list[str] = before) -> bool:
                    there.turn()
                    return there.obeyed[0] != before or done()

                until(moved, 60)
            if done():
                break
    assert [there.phase(job) for job in jobs] == ["committed", "committed"]
    assert there.obeyed == [SEED * 2] * 3, "each command once, and one job after the other"


def test_once_takes_every_step_that_can_be_taken(tmp_path: Path, keys: Pair) -> None:
    program = program_of(tmp_path, keys)
    there = cluster(program.store, "p", keys.keys)
    job = there.ask("backup")
    assert program.run("serve", "--once").code == 0
    assert there.turn()
    assert program.run("serve", "--once").code == 0
    assert there.phase(job) == "done"


def test_a_job_that_cannot_be_read_keeps_nothing_from_being_indexed(tmp_path: Path, keys: Pair) -> None:
    program = program_of(tmp_path, keys)
    broken, other = cluster(program.store, "broken", keys.keys), cluster(program.store, "other", keys.keys)
    program.store.put(broken.layout.job(broken.ask()), b"{")
    job = other.ask("backup")
    with program.running("serve") as server:
        server.until_said("cannot be read")
        played(other, job, "done")
        program.maker("broken").ship("b1", Made(ring={"n1": "dc1"}))
        until(lambda: states(program, "broken") == {"b1": "complete"}, 30, server.log.read_text)
        said = server.log.read_text()
        assert said.count(f"{broken.layout.jobs()}records/") == 1, "told once"
    assert program.run("serve", "--once").code == 1


@pytest.mark.parametrize("lines", [(), ("coordinate_interval = 0",)])
def test_without_a_key_or_when_it_shall_not_it_leaves_jobs_alone(
    tmp_path: Path, keys: Pair, lines: tuple[str, ...]
) -> None:
    program = Program(tmp_path, shipper=(f"signing_key_file = {keys.private}", *lines) if lines else ())
    program.bucket.mkdir()
    there = cluster(program.store, "p", keys.keys)
    job = there.ask()
    done = program.run("serve", "--once")
    assert (done.code, "coordinating" in done.err) == (0, False)
    assert there.job(job) is None


def test_a_key_that_others_may_read_is_refused(tmp_path: Path, keys: Pair) -> None:
    keys.private.chmod(0o644)
    done = program_of(tmp_path, keys).run("serve")
    assert done.code == 2
    assert "others may read" in done.err
    assert keys.secret not in done.err


# --- when it looks: by hand ---
@dataclass
class Watch:
    """A cluster ``p`` in a store of its own, and who coordinates it; ``calls``: of the store, so far."""

    keys: Pair
    clock: SettableClock = field(default_factory=lambda: SettableClock(NOON))
    store: ObjectStore = field(default_factory=lambda: MemoryBucket().open(None))
    calls: int = 0

    def __post_init__(self) -> None:
        self.there = cluster(self.store, "p", self.keys.keys)
        self.coordinating = Coordinating(self.store, self.clock, self.keys.signer, lambda: "r", 5.0)

    def look(self, *news: str, written: ObjectStore | None = None) -> bool:
        """One look of the loop; whether it led to any call."""
        before = self.calls
        self.coordinating.look(news, CheckedStore(written or self.store, self._count))
        thread = self.coordinating._thread
        assert thread is not None
        thread.join(30)
        assert not thread.is_alive()
        return self.calls > before

    def _count(self, _call: str, _key: str) -> None:
        self.calls += 1


@pytest.fixture
def watch(keys: Pair) -> Watch:
    return Watch(keys)


def test_it_looks_at_the_start_then_seldom_and_often_while_a_job_is_under_way(watch: Watch) -> None:
    assert watch.look()
    watch.clock.advance(59)
    assert not watch.look()
    watch.clock.advance(2)
    assert watch.look()
    watch.there.ask()
    assert not watch.look()
    assert watch.look("p"), "it was told"
    watch.clock.advance(4)
    assert not watch.look()
    watch.clock.advance(2)
    assert watch.look()


def test_a_new_cluster_is_found_by_its_event_and_without_one(watch: Watch) -> None:
    assert watch.look()
    late = cluster(watch.store, "late", watch.keys.keys)
    asked = late.ask()
    other = cluster(watch.store, "q", watch.keys.keys)
    job = other.ask()
    assert watch.look("q")
    assert other.phase(job) == "preparing"
    other.turn()
    watch.clock.advance(6)
    assert watch.look()
    assert other.phase(job) == "stopping", "it is not forgotten"
    assert late.job(asked) is None
    watch.clock.advance(60)
    assert watch.look()
    assert late.phase(asked) == "preparing"


@pytest.mark.parametrize("error", [Denied("no", operation="x"), Retryable("later", operation="x")], ids=str)
def test_what_fails_is_told_once_and_tried_again(
    watch: Watch, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    def refuse(_call: str, _key: str) -> None:
        raise error

    watch.there.ask()
    for _ in range(3):
        watch.look(written=CheckedStore(watch.store, refuse))
        watch.clock.advance(11)
    assert [record.getMessage() for record in caplog.records] == [f"coordinating: {error}"]
    watch.look()
    assert watch.there.turn()
    watch.clock.advance(61)
    watch.look(written=CheckedStore(watch.store, refuse))
    assert len(caplog.records) > 1, "and told again when it is so again"


def test_news_that_come_while_it_looks_are_looked_at_after_that(watch: Watch) -> None:
    listed, go = threading.Event(), threading.Event()

    def held_up(_call: str, _key: str) -> None:
        listed.set()
        assert go.wait(30)

    watch.coordinating.look((), CheckedStore(watch.store, held_up))
    assert listed.wait(30)
    job = watch.there.ask()
    watch.coordinating.look(["p"], watch.store)
    go.set()
    until(lambda: not watch.coordinating._thread.is_alive())  # type: ignore[union-attr]
    watch.look()
    assert watch.there.phase(job) == "preparing"


def test_what_is_left_of_old_jobs_is_deleted_once_a_day(keys: Pair, caplog: pytest.LogCaptureFixture) -> None:
    clock = SettableClock(NOON)
    watch = Watch(keys, clock, MemoryBucket(clock.now).open(None))
    jobs = []
    for number in (1, 2):
        jobs.append(watch.there.ask("backup", number))
        for _ in range(3):
            watch.look("p")
            watch.there.turn()
    clock.advance(KEPT - 10)
    watch.look("p")
    assert [watch.there.phase(job) for job in jobs] == ["done", "done"]
    clock.advance(20)
    watch.look("p")
    assert watch.there.phase(jobs[0]) == "done", "not before the next day"
    clock.advance(DAY)

    def keep(call: str, key: str) -> None:
        if call == "delete":
            raise Denied(f"the bucket forbids: delete {key}", operation=call)

    watch.look(written=CheckedStore(watch.store, keep))
    warnings = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert ["the bucket forbids" in warning for warning in warnings] == [True], "and nothing else fails"
    assert watch.there.phase(jobs[0]) == "done"
    clock.advance(DAY)
    watch.look()
    assert [watch.there.phase(job) for job in jobs] == ["", "done"]


def test_it_ends_at_the_next_call(watch: Watch) -> None:
    listed, go = threading.Event(), threading.Event()

    def held_up(_call: str, _key: str) -> None:
        listed.set()
        assert go.wait(30)

    job = watch.there.ask()
    watch.coordinating.look((), CheckedStore(watch.store, held_up))
    assert listed.wait(30)
    threading.Timer(0.1, go.set).start()
    watch.coordinating.stop()
    assert watch.there.job(job) is None


def test_strange_states_are_told_once_for_a_folder(watch: Watch, caplog: pytest.LogCaptureFixture) -> None:
    job = watch.there.ask()
    watch.look("p")
    for seq in range(1, 9):
        watch.store.put(watch.there.layout.job_state(job, "n1", 1, seq), b"{")
    for _ in range(3):
        watch.look("p")
    assert len([record for record in caplog.records if "nodes/n1" in record.getMessage()]) == 1
    assert watch.there.phase(job) == "preparing"


def test_an_inbox_keeps_what_tells_of_jobs() -> None:
    inbox = Inbox()
    layout = Layout("p")
    told = ObjectEvent("created", layout.job_request("restore-20261123020000-00000001"))
    inbox.put([told, ObjectEvent("created", layout.job_turn())])
    assert inbox.take(0) == ([told], False)


def test_a_cluster_without_backups_is_served_as_well(tmp_path: Path, keys: Pair) -> None:
    program = program_of(tmp_path, keys)
    there = cluster(program.store, "new", keys.keys)
    reconcile(program.store, Layout("old"), now=NOON, revision=lambda: "r")
    job = there.ask("backup")
    with program.running("serve"):
        played(there, job, "done")
