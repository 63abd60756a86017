"""restore-cluster, backup-cluster and what comes back to their jobs, as an operator types them.

The bucket is a directory, its cluster backups are made by hand; the coordinator is the real one, and the test plays nodes.
"""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from backupstore.core.job_documents import Outcome, Request
from backupstore.core.layout import Layout
from backupstore.core.topology import Ring
from backupstore.operations.coordinate import Coordinator
from backupstore.operations.documents import read_own
from tests.core.rings import ring, with_ids
from tests.operations.clusters import Shipped, ship_cluster
from tests.played_nodes import Pair, PlayedNode, pair
from tests.shipper.cli.program import Program, tree
from tests.shipper.cli.terminal import on_terminal

THREE = replace(with_ids(ring("n1 dc1/r1 10,40", "n2 dc1/r2 20,50", "n3 dc1/r3 30,60")), cluster="c")
LAYOUT = Layout()
RESTORE = ("restore-cluster", "--backup-name", "b1", "--seeds", "n1")


@dataclass
class Led:
    """A bucket with the backup b1 of three nodes, a coordinator, and the nodes that obey it."""

    program: Program
    keys: Pair
    nodes: list[PlayedNode] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.nodes = [PlayedNode(self.program.store, LAYOUT, name, self.keys.keys) for name in ("n1", "n2", "n3")]

    def answer(self, node: int, verb: str, outcome: Outcome | None) -> None:
        self.nodes[node - 1].answers[verb] = outcome

    def lead(self) -> None:
        """One call of the coordinator, and every node obeys once."""
        coordinator = Coordinator(self.program.store, LAYOUT, self.keys.signer, lambda: uuid.uuid4().hex)
        coordinator.coordinate(time.time())
        for node in self.nodes:
            node.turn()

    @contextmanager
    def leading(self) -> Iterator[None]:
        """Beside what the test does, for as long as it takes."""

        def work() -> None:
            while not self.stop.wait(0.05):
                self.lead()

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield
        finally:
            self.stop.set()
            thread.join()
            self.stop.clear()

    @property
    def jobs(self) -> list[str]:
        folder = self.program.bucket / "index" / "jobs" / "requests"
        return sorted(path.name for path in folder.iterdir()) if folder.exists() else []

    def request(self) -> Request:
        (job,) = self.jobs
        found = read_own(self.program.store, Request, LAYOUT.job_request(job))
        assert found is not None
        return found


@pytest.fixture
def program(tmp_path: Path) -> Program:
    made = Program(tmp_path / "machine")
    made.bucket.mkdir(parents=True)
    return made


@pytest.fixture
def led(program: Program, tmp_path: Path) -> Led:
    ship(program, "b1", THREE)
    return Led(program, pair(tmp_path / "keys"))


def ship(program: Program, name: str, there: Ring, **how: object) -> None:
    ship_cluster(program.store, LAYOUT, name, Shipped(ring=there, **how))  # type: ignore[arg-type] # its fields


class TestPlan:
    def test_it_says_who_restores_what_how_long_it_takes_and_what_is_overwritten(self, program: Program) -> None:
        ship(program, "b1", THREE, sizes={"n1": 60 << 30, "n2": 90 << 30, "n3": 30 << 30})
        before = tree(program.bucket)
        done = program.run(*RESTORE, "--dry-run", "--parallel-restores", "2")
        assert (done.code, tree(program.bucket)) == (0, before), done.err
        lines = done.out.splitlines()
        assert lines[0].startswith("b1 began ")
        assert lines[0].endswith("; 3 node backups, 180.00 GB")
        assert lines[1] == "In place: each node gets its own files back."
        assert "the ring that the backup b1 shows" in lines[2]
        assert [line.split() for line in lines[4:8]] == [
            ["Target", "Datacenter", "Rack", "Seed", "Size", "Restores"],
            ["n1", "dc1", "r1", "yes", "60.00", "GB", "n1"],
            ["n2", "dc1", "r2", "90.00", "GB", "n2"],
            ["n3", "dc1", "r3", "30.00", "GB", "n3"],
        ]
        assert (
            "at 50.00 MB/s a node (transfer_max_bandwidth, as set here), 2 nodes at once: about 31 minutes." in done.out
        )
        assert "* OVERWRITTEN on 3 nodes: everything." in done.out
        assert "* Roles, passwords and grants become those of the backup" in done.out
        assert "; --seed-target tells it): tables only there are not named." in done.out

    def test_without_a_rate_that_is_set_one_is_assumed(self, tmp_path: Path) -> None:
        program = Program(tmp_path, storage=("transfer_max_bandwidth =",))
        program.bucket.mkdir()
        ship(program, "b1", THREE, sizes=dict.fromkeys(THREE.names, 6000 << 20))
        done = program.run(*RESTORE, "--dry-run")
        assert "at 100.00 MB/s a node (assumed: nothing caps it), all nodes at once: about 1 minute." in done.out

    def test_a_ring_that_has_grown_is_loaded_and_that_is_said(self, program: Program) -> None:
        ship(program, "b1", THREE)
        grown = Ring((*THREE.seats, *with_ids(ring("n4 dc1/r1 35,65")).seats), "c")
        ship(program, "b2", grown)
        done = program.run("restore-cluster", "--backup-name", "b1", "--dry-run")
        assert done.code == 0, done.err
        why = "dc1 had 3 nodes (n1, n2, n3), and the target has 4 nodes (n1, n2, n3, n4)"
        assert f"By sstableloader, into the running cluster: {why}." in done.out
        assert "No node stops." in done.out
        assert "there is no way back" in done.out
        assert "* Roles, passwords and grants of the backup join those of the target" in done.out
        assert "what is dropped, and replicas that it has no room for, are not named." in done.out
        restores = [
            line.rsplit("  ", 1)[1].strip() for line in done.out.splitlines() if line.startswith(("n1 ", "n4 "))
        ]
        assert restores == ["n1", "nothing"]

    def test_stop_first_says_that_nobody_can_go_back(self, led: Led) -> None:
        done = led.program.run(*RESTORE, "--stop-first", "--keep-auth", "--dry-run")
        assert "there is no way back (--stop-first)" in done.out
        assert "stay as they are on the target (--keep-auth)" in done.out

    def test_an_incomplete_backup_needs_a_flag_and_is_loaded(self, program: Program) -> None:
        ship(program, "b1", THREE, unfinished=["n2"])
        refused = program.run(*RESTORE, "--dry-run")
        assert (refused.code, refused.out) == (1, "")
        assert "1 node has no finished backup (n2)" in refused.err
        done = program.run(*RESTORE, "--dry-run", "--accept-incomplete")
        assert (done.code, "By sstableloader" in done.out) == (0, True), done.err
        assert "What only they hold will be missing" in done.out

    def test_it_is_the_same_with_a_catalog(self, led: Led) -> None:
        without = led.program.run(*RESTORE, "--dry-run")
        assert led.program.run("build-index").code == 0
        done = led.program.run(*RESTORE, "--dry-run")
        assert (done.code, done.out, done.err) == (0, without.out, "")
        assert "there is no catalog yet" in without.err


class TestHostList:
    def restore(self, led: Led, text: str, *more: str, separator: str = ",") -> tuple[int, str]:
        program = replace(led.program, storage=(f"host_file_separator = {separator}",))
        (program.directory / "hosts").write_text(text)
        done = program.run(
            "restore-cluster",
            "--backup-name",
            "b1",
            "--host-list",
            str(program.directory / "hosts"),
            "--dry-run",
            *more,
        )
        return done.code, done.out + done.err

    def test_it_says_who_takes_whose_place(self, led: Led) -> None:
        code, said = self.restore(led, "True;127.9.9.1;n2\nFalse;127.9.9.2;n1\nFalse;127.9.9.3;n3\n", separator=";")
        assert code == 0, said
        assert "Onto other nodes" in said
        rows = [line.split() for line in said.splitlines() if line.startswith("127.9.9.")]
        assert [(row[0], row[-1]) for row in rows] == [("127.9.9.1", "n2"), ("127.9.9.2", "n1"), ("127.9.9.3", "n3")]
        assert rows[0][3] == "yes"

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("True,x", "line 1: it has 2 columns and not 3"),
            ("True,x,n1\nFalse,y,n9\nFalse,z,n3", "line 2: n9"),
            ("True,x,n1\nFalse,y,n2", "leaves n3 out"),
            ("False,x,n1\nFalse,y,n2\nFalse,z,n3", "seeds is not known"),
        ],
    )
    def test_mistakes_are_told(self, led: Led, text: str, said: str) -> None:
        code, told = self.restore(led, text)
        assert (code, said in told) == (1, True), told

    def test_a_file_that_is_not_there_is_wrong_usage(self, led: Led) -> None:
        done = led.program.run("restore-cluster", "--backup-name", "b1", "--host-list", "/nowhere")
        assert (done.code, "--host-list /nowhere cannot be read" in done.err) == (2, True)

    def test_a_target_takes_several_by_sstableloader(self, led: Led) -> None:
        code, said = self.restore(led, "True,x,n1\nTrue,x,n2\nTrue,x,n3")
        assert (code, "By sstableloader" in said) == (0, True), said


class TestRefused:
    @pytest.mark.parametrize(
        ("arguments", "code", "said"),
        [
            ((*RESTORE,), 1, "Nobody can be asked here"),
            (("restore-cluster", "--backup-name", "b1", "-y"), 1, "--seeds n1"),
            (("restore-cluster", "--backup-name", "b1", "--seeds", "n9", "-y"), 1, "n9 cannot be a seed"),
            (("restore-cluster", "--backup-name", "b9", "-y"), 1, "There is no backup b9"),
            ((*RESTORE, "--seed-target", "h", "--host-list", "f"), 2, "one of --seed-target and --host-list"),
            ((*RESTORE, "--datacenter", "dc1"), 2, "OLD=NEW"),
            ((*RESTORE, "--datacenter", "dc1=dc9", "-y"), 1, "the target has no datacenter dc9"),
            ((*RESTORE, "--table", "orders"), 2, "KEYSPACE.TABLE"),
            ((*RESTORE, "--table", "shop.orders,shop.x"), 2, "KEYSPACE.TABLE"),
            ((*RESTORE, "--keyspace", "--host=x"), 2, "letters, digits and _"),
            (("backup-cluster", "--keyspace", "shop.orders"), 2, "letters, digits and _"),
            ((*RESTORE, "--seed-target", "no such host", "-y"), 1, "no such host"),
            ((*RESTORE, "--seed-target", "h:99999", "-y"), 1, "no address"),
            ((*RESTORE, "--seed-target", f"{'h' * 64}.example.org", "-y"), 1, "no address"),
            ((*RESTORE, "--seed-target", "h..example.org", "-y"), 1, "no address"),
            (("restore-status", "restore-20261123000000-00000000"), 1, "There is no job"),
            (("restore-status", "../../x"), 1, "There is no job"),
            (("restore-status", "--follow"), 2, "needs a JOB"),
            (("restore-resume", "x"), 1, "There is no job"),
            (("restore-rollback", "x"), 1, "There is no job"),
            (("backup-cluster", "--backup-name", "data1"), 1, "data"),
        ],
    )
    def test_it_is_refused_and_nothing_is_written(
        self, led: Led, arguments: tuple[str, ...], code: int, said: str
    ) -> None:
        before = tree(led.program.bucket)
        done = led.program.run(*arguments)
        assert (done.code, said in done.err) == (code, True), done.err
        assert tree(led.program.bucket) == before

    def test_without_any_backup_the_nodes_have_to_be_named_by_one_of_them(self, program: Program) -> None:
        done = program.run("backup-cluster")
        assert (done.code, "--seed-target" in done.err) == (1, True), done.err

    def test_a_bucket_that_is_not_there_is_not_made(self, program: Program) -> None:
        """Where an operator types nobody knows whether it is only not mounted: below a mount point it is in no bucket."""
        program.bucket.rmdir()
        done = program.run("backup-cluster", "--seed-target", "127.0.0.1:1")
        assert done.code == 1
        assert "does not exist" in done.err
        assert f"The first backup of a node (medusa-shipper backup) makes {program.bucket.name}/" in done.err
        assert not program.bucket.exists()


class TestJob:
    def test_a_restore_is_led_to_its_end_and_told_line_by_line(self, led: Led) -> None:
        with led.leading():
            done = led.program.run(*RESTORE, "-y", "--parallel-restores", "2", "--no-verify", "--keep-auth")
        assert done.code == 0, done.err
        assert done.out.splitlines()[-1].startswith("Restore of b1 on 3 nodes (restore-")
        assert "committed, after" in done.out
        request = led.request()
        assert (request.parallel, request.verify, request.keep_auth, sorted(request.seeds)) == (2, False, True, ["n1"])
        said = done.err
        order = [
            said.index(f"INFO: {word}") for word in ("n1, n2, n3: commit done", "committed: the cluster is restored")
        ]
        assert order == sorted(order)
        assert [node.obeyed for node in led.nodes] == [["prepare", "stop", "place", "start", "check", "commit"]] * 3

    def test_a_node_that_fails_is_named_and_everything_goes_back(self, led: Led) -> None:
        led.answer(2, "place", "failed")
        with led.leading():
            done = led.program.run(*RESTORE, "-y")
        assert done.code == 1
        assert "n2: place failed: as the test wants it" in done.err
        assert "rolled-back" in done.err
        assert "Every node has its old data, and is up unless it was down before." in done.err

    def test_a_job_that_nobody_takes_up_says_what_to_start(self, led: Led) -> None:
        with led.program.running(*RESTORE, "-y") as following:
            following.until_said("Ctrl-C leaves it to itself")
            following.process.terminate()
            assert following.process.wait(20) == 130
        job = led.request().job
        assert following.said(f"'restore-status {job} --follow' comes back")
        age(led, job, 100)
        done = led.program.run("restore-status", job)
        assert done.code == 0, done.err
        assert "Nobody has taken this job up for" in done.out
        assert "medusa-shipper serve" in done.out
        assert [row.split()[0] for row in done.out.splitlines()[-3:]] == ["n1", "n2", "n3"]
        with led.program.running("restore-status", job, "--follow") as following:
            following.until_said("Nobody has taken this job up for")

    def test_whoever_left_comes_back_and_sees_the_end(self, led: Led) -> None:
        with led.program.running(*RESTORE, "-y") as following:
            following.until_said("Ctrl-C leaves it to itself")
            following.process.terminate()
            following.process.wait(20)
        job = led.request().job
        with led.leading():
            done = led.program.run("restore-status", job, "--follow")
        assert (done.code, "committed, after" in done.out) == (0, True), done.err
        assert led.program.run("restore-status", job).code == 0
        listed = led.program.run("restore-status")
        assert listed.out.splitlines()[1].split()[:2] == [job, "b1"]
        assert listed.out.rstrip().endswith("committed")
        told = led.program.run("restore-status", job, "--output", "json").json
        assert (told["job"]["phase"], told["request"]["backup"]) == ("committed", "b1")

    def test_a_silent_node_makes_it_wait_and_an_operator_takes_it_back(self, led: Led) -> None:
        led.answer(3, "stop", "failed")
        led.answer(1, "put-back", "failed")
        with led.leading():
            with led.program.running(*RESTORE, "-y") as following:
                following.until_said("WARNING: WAITS: n1")
                following.process.terminate()
                following.process.wait(20)
            job = led.request().job
            waiting = led.program.run("restore-status", job)
            assert "WAITS: n1" in waiting.out
            assert f"'restore-resume {job}' asks again" in waiting.out
            led.answer(1, "put-back", "done")
            done = led.program.run("restore-resume", job)
        assert (done.code, "rolled-back" in done.err) == (1, True), done.err
        assert "resume, asked for by" in done.err
        over = led.program.run("restore-resume", job)
        assert (over.code, "It is over: rolled-back" in over.err) == (1, True)

    def test_a_restore_that_is_taken_back_on_purpose_has_ended_well(self, led: Led) -> None:
        led.answer(2, "prepare", None)
        with led.leading():
            with led.program.running(*RESTORE, "-y") as following:
                following.until_said("preparing")
                following.process.terminate()
                following.process.wait(20)
            job = led.request().job
            done = led.program.run("restore-rollback", job)
        assert (done.code, "rolled-back, after" in done.out) == (0, True), done.err
        assert led.program.run("restore-status", job).code == 1
        told = led.program.run("restore-status", job, "--output", "json")
        assert (told.code, told.json["job"]["phase"]) == (1, "rolled-back")

    def test_a_backup_of_the_cluster(self, led: Led) -> None:
        with led.leading():
            done = led.program.run("backup-cluster", "--backup-name", "b2", "--mode", "full", "-pu", "1")
        assert (done.code, "done, after" in done.out) == (0, True), done.err
        request = led.request()
        assert (request.kind, request.backup, request.mode, request.parallel) == ("backup", "b2", "full", 1)
        assert [each.target for each in request.assignments] == ["n1", "n2", "n3"]
        refused = led.program.run("restore-rollback", request.job)
        assert refused.code == 1

    def test_a_backup_that_failed_on_one_node_says_what_to_do_there(self, led: Led) -> None:
        led.answer(2, "backup", "failed")
        with led.leading():
            done = led.program.run("backup-cluster", "--backup-name", "b2")
        assert (done.code, "ended-with-failures" in done.err) == (1, True), done.err
        assert "Run 'backup --backup-name b2' on the nodes that failed" in done.err


class TestOnATerminal:
    def test_the_name_has_to_be_typed_and_the_table_is_drawn(self, led: Led) -> None:
        with led.leading(), on_terminal(led.program, *RESTORE) as terminal:
            terminal.until_seen("Type the name of the backup to begin")
            assert led.jobs == []
            terminal.type("b1\n")
            assert terminal.ended() == 0, terminal.seen
        assert "Node" in terminal.seen
        assert "committed, after" in terminal.seen

    def test_another_name_begins_nothing(self, led: Led) -> None:
        with on_terminal(led.program, *RESTORE) as terminal:
            terminal.until_seen("Type the name of the backup to begin")
            terminal.type("yes\n")
            assert terminal.ended() == 1, terminal.seen
        assert "That is not the name of the backup: nothing was done" in terminal.seen
        assert led.jobs == []

    def test_control_c_at_the_question_begins_nothing(self, led: Led) -> None:
        with on_terminal(led.program, *RESTORE) as terminal:
            terminal.until_seen("Type the name of the backup to begin")
            terminal.type("\x03")
            assert terminal.ended() == 130, terminal.seen
        assert led.jobs == []

    def test_control_c_leaves_the_job_to_itself(self, led: Led) -> None:
        with on_terminal(led.program, *RESTORE, "-y") as terminal:
            terminal.until_seen("nobody has taken it up yet")
            terminal.type("\x03")
            assert terminal.ended() == 130, terminal.seen
        job = led.request().job
        assert f"'restore-status {job} --follow' comes back to it" in terminal.seen

    def test_what_needs_a_person_stands_first_where_the_screen_is_low(self, led: Led) -> None:
        led.answer(3, "stop", "failed")
        led.answer(3, "put-back", "failed")
        with led.leading(), on_terminal(led.program, *RESTORE, "-y", size=(12, 100)) as terminal:
            terminal.until_seen("WAITS: n3")
            terminal.type("\x03")
            assert terminal.ended() == 130, terminal.seen
        last = terminal.seen[terminal.seen.rindex("Restore of b1") :]
        nodes = [line.split()[0] for line in last.splitlines() if line.startswith("n")]
        assert nodes[0] == "n3"


class TestGivingUp:
    """n1 cannot put its data back, and is gone for good."""

    @pytest.fixture
    def job(self, led: Led) -> str:
        led.answer(3, "stop", "failed")
        led.answer(1, "put-back", "failed")
        with led.leading(), led.program.running(*RESTORE, "-y") as following:
            following.until_said("WARNING: WAITS: n1")
            following.process.terminate()
            following.process.wait(20)
        return led.request().job

    def test_the_others_go_on_without_it_when_its_name_is_typed(self, led: Led, job: str) -> None:
        with led.leading(), on_terminal(led.program, "restore-rollback", job, "--without", "n1") as terminal:
            terminal.until_seen("Type the name of the node to give up for good:")
            terminal.type("n1\n")
            assert terminal.ended() == 1, terminal.seen
        assert "Be sure that neither Cassandra nor the agent runs there any more" in terminal.seen
        assert [node.obeyed[-1] for node in led.nodes] == ["put-back", "start", "start"]
        told = led.program.run("restore-status", job)
        assert (told.code, "everything is as it was before, WITHOUT n1" in told.out) == (1, True), told.out
        assert "n1 was given up by " in told.out
        assert "must not be started before 'restore-node --undo --leave-job'" in told.out
        assert "Keep Cassandra down on those that were given up" in told.err
        record = led.program.run("restore-status", job, "--output", "json").json["job"]
        assert [(each["node"], each["phase"]) for each in record["given_up"]] == [("n1", "rolling-back")]

    @pytest.mark.parametrize("typed", ["n2\n", "y\n", "\n"])
    def test_another_name_gives_nobody_up(self, led: Led, job: str, typed: str) -> None:
        with on_terminal(led.program, "restore-resume", job, "--without", "n1") as terminal:
            terminal.until_seen("Type the name of the node to give up for good:")
            terminal.type(typed)
            assert terminal.ended() == 1, terminal.seen
        assert "That is not the name of the node: nothing was done." in terminal.seen
        assert not (led.program.bucket / LAYOUT.job_wishes(job)).exists()

    @pytest.mark.parametrize(
        ("nodes", "said"),
        [
            (("n1",), "Nobody can be asked here."),
            (("n2",), "cannot be asked to go on without n2. Because it does not wait for n2."),
            (("n1", "n9"), "n9 has no part in it."),
        ],
    )
    def test_nobody_is_given_up_without_need_or_where_nobody_types(
        self, led: Led, job: str, nodes: tuple[str, ...], said: str
    ) -> None:
        before = tree(led.program.bucket)
        without = [word for node in nodes for word in ("--without", node)]
        done = led.program.run("restore-resume", job, *without)
        assert (done.code, said in done.err) == (1, True), done.err
        assert tree(led.program.bucket) == before


def age(led: Led, job: str, seconds: float) -> None:
    """As if it had been asked for so long ago."""
    path = led.program.bucket / LAYOUT.job_request(job)
    request = led.request()
    path.write_bytes(request.model_copy(update={"created": request.created - seconds}).model_dump_json().encode())
    os.utime(path)


@pytest.mark.parametrize(("broken", "backup"), [("request", "?"), ("record", "b1")])
def test_a_job_that_cannot_be_read_is_listed_as_such(led: Led, broken: str, backup: str) -> None:
    with led.program.running(*RESTORE, "-y") as following:
        following.until_said("Ctrl-C leaves it to itself")
        following.process.terminate()
        following.process.wait(20)
    job = led.request().job
    led.lead()
    key = LAYOUT.job_request(job) if broken == "request" else LAYOUT.job(job)
    (led.program.bucket / key).write_bytes(b"{")
    listed = led.program.run("restore-status")
    row = listed.out.splitlines()[1]
    assert row.split()[:2] == [job, backup]
    assert row.endswith("cannot be read")
    (told,) = led.program.run("restore-status", "--output", "json").json
    assert told["name"] == job
    assert key in told["unreadable"]


def test_jobs_are_listed_also_when_there_are_none(program: Program) -> None:
    done = program.run("restore-status")
    assert (done.code, done.out, "no jobs yet" in done.err) == (0, "", True)
