"""The real verbs, commanded one by one with a signature, on a node that is only directories and with a shipper's rights alone."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from backupstore.core.job_documents import Verb
from backupstore.core.layout import DESCRIBE
from backupstore.core.obedience import Seen
from backupstore.errors import Denied
from backupstore.signing import read_public_keys, read_signer, write_pair
from backupstore.stores.checked import CheckedStore
from shipper.agent.answers import Answers
from shipper.agent.backups import Backups
from shipper.agent.loop import Agent
from shipper.agent.mailbox import Mailbox
from shipper.agent.memory import recall
from shipper.agent.obey import NodeVerbs, Tools
from shipper.agent.orders import Orders
from shipper.agent.slots import Diary
from shipper.agent.worker import KeepOn
from shipper.backup import Limits
from shipper.cassandra.sstableloader import LoaderAccess
from shipper.cassandra.wire import Address
from shipper.restore.loading import FOLDER
from shipper.site import Site
from tests.core.cql_samples import DESCRIBED
from tests.core.cql_server import CqlServer
from tests.recorded import NAME
from tests.shipper.agent.world import JOB, Coordinator, told_nobody
from tests.shipper.restore.manifests import a_file, manifest_of, put_manifest
from tests.shipper.restore.test_schema_apply import Node as CqlNode
from tests.shipper.restore.world import World, make_world


@dataclass
class Told:
    """A node of a job, and who commands it."""

    world: World
    coordinator: Coordinator
    open: Callable[[], Agent]
    server: CqlNode
    loader: LoaderAccess
    before_call: Callable[[str, KeepOn], None] = field(default=lambda _call, keep_on: keep_on())
    number: int = 0
    agent: Agent = field(init=False)

    def __post_init__(self) -> None:
        self.agent = self.open()

    def told(self, verb: Verb, arguments: dict[str, object] | None = None) -> tuple[str, str]:
        """The outcome of a command, and why."""
        self.number += 1
        given = {"arguments": arguments} if arguments else {}
        self.coordinator.command(verb, self.number, **given)
        for _ in range(2):
            self.agent.turn()
            assert self.agent.worker.wait(60)
        last = self.coordinator.states()[-1]
        assert last.number == self.number
        return last.outcome, last.why

    def all_done(self, *verbs: Verb) -> None:
        for verb in verbs:
            outcome, why = self.told(verb)
            assert outcome == "done", why


@pytest.fixture
def node(tmp_path: Path) -> Told:
    world = make_world(tmp_path / "node")
    write_pair(tmp_path)
    state, clock, layout = world.state, world.clock, world.layout

    @contextmanager
    def open_site(keep_on: KeepOn) -> Iterator[Site]:
        yield replace(world.site, store=CheckedStore(world.store, lambda call, _key: told.before_call(call, keep_on)))

    limits, server = Limits(workers=2), CqlNode(CqlServer())
    tools = Tools(lambda: world.machine, lambda: nullcontext(server), lambda: told.loader)
    verbs = NodeVerbs(open_site, tools, told_nobody, limits, "differential")

    def open_agent() -> Agent:
        seen = recall(state, "agent", nothing=Seen(), unreadable=Seen())
        answers = Answers(world.store, layout, NAME, clock, seen)
        mailbox = Mailbox(world.store, layout, NAME, read_public_keys(tmp_path / "command-keys"), state)
        diary = recall(state, "schedule", nothing=Diary(since=clock.now()), unreadable=Diary(since=clock.now()))
        backups = Backups(None, diary, state, clock, open_site, told_nobody, limits)
        return Agent(backups, Orders(mailbox, seen, answers, answers, verbs, clock), clock, interval=lambda: 0.0)

    signer = read_signer(tmp_path / "signing.key")
    told = Told(
        world,
        Coordinator(world.owner, layout, signer, clock, JOB),
        open_agent,
        server,
        LoaderAccess(sys.executable, Address("10.0.0.1", 9042), 7000, Path("cassandra.yaml")),
    )
    return told


def restore_of_monday(**other: object) -> dict[str, object]:
    return {"backup": "monday", "sources": [NAME], "targets": [NAME, "10.0.0.2"], **other}


def test_a_restore_from_its_preparation_to_the_commit(node: Told) -> None:
    outcome, why = node.told("prepare", restore_of_monday())
    assert outcome == "done", why
    assert why.endswith("are fetched and checked.") or "are fetched and checked. " in why
    journal = node.world.journal()
    assert journal is not None
    assert (journal.job, journal.phase) == (JOB, "prepared")
    node.all_done("stop", "place", "start", "check", "commit")
    assert node.world.stands() == "new"


@pytest.mark.parametrize("reached", [0, 1, 2, 3, 4])
def test_from_everywhere_before_the_commit_there_is_a_way_back(node: Told, reached: int) -> None:
    forward: tuple[Verb, ...] = ("stop", "place", "start", "check")
    node.told("prepare", restore_of_monday())
    node.all_done(*forward[:reached], "put-back", "start")
    assert node.world.stands() == "old"
    assert node.world.node.is_up()


def test_a_backup_is_made_under_the_name_that_all_get_and_told_once_more_it_is_done(node: Told) -> None:
    for _ in range(2):
        outcome, why = node.told("backup", {"backup": "tuesday"})
        assert outcome == "done", why
    keys = [each.key for each in node.world.owner.list(node.world.layout.backup(NAME, "tuesday"))]
    assert node.world.layout.meta(NAME, "tuesday", "manifest.json") in keys


def test_no_backup_is_made_in_the_middle_of_a_restore(node: Told) -> None:
    node.told("prepare", restore_of_monday())
    outcome, why = node.told("backup", {"backup": "tuesday"})
    assert outcome == "failed"
    assert "A restore of this node to monday" in why


def test_what_cannot_be_restored_is_told_with_a_reason(node: Told) -> None:
    outcome, why = node.told("prepare", restore_of_monday(backup="never"))
    assert (outcome, "never" in why) == ("failed", True)
    outcome, why = node.told("prepare", restore_of_monday(sources=[NAME, "10.0.0.2"]))
    assert (outcome, why) == ("failed", "This node was told to become 2 nodes at once.")
    assert node.world.stands() == "old"


def test_what_is_to_be_loaded_is_looked_at_before_anything_is_dropped(node: Told) -> None:
    outcome, why = node.told("prepare", restore_of_monday(method="sstableloader"))
    assert (outcome, why.partition(", ")[0]) == ("done", "What 1 node backed up"), why
    assert why.endswith("can be loaded from here.")
    outcome, why = node.told("prepare", restore_of_monday(method="sstableloader", sources=["10.0.0.2"]))
    assert outcome == "failed"
    node.world.node.down = True
    outcome, why = node.told("prepare", restore_of_monday(method="sstableloader"))
    assert (outcome, why) == ("failed", f"Cassandra does not answer on {NAME}.")


def test_what_could_not_be_loaded_is_refused_before_anything_is_dropped(node: Told) -> None:
    found = node.loader
    node.loader = replace(found, executable="/nowhere/sstableloader")
    outcome, why = node.told("prepare", restore_of_monday(method="sstableloader"))
    assert (outcome, "/nowhere/sstableloader is not on this machine" in why) == ("failed", True), why
    node.loader = found
    sections = manifest_of(node.world)
    a_file(sections)["size"] = 1 << 50
    put_manifest(node.world, sections)
    outcome, why = node.told("prepare", restore_of_monday(method="sstableloader"))
    assert (outcome, "bytes are missing on the file system of" in why) == ("failed", True), why
    assert node.coordinator.states()[-1].hint == "Free space there."
    outcome, why = node.told("prepare", restore_of_monday(method="sstableloader", tables=["shop.nothing"]))
    assert (outcome, why) == ("failed", "None of the backups holds shop.nothing.")
    assert not (node.world.node.data_directories[0].parent / FOLDER).exists()


def test_a_job_that_ended_without_this_node_is_let_go(node: Told) -> None:
    node.told("prepare", restore_of_monday())
    again = replace(node.agent)
    for _ in range(2):
        again.turn()
        assert again.worker.wait(60)
    assert node.world.journal() is not None
    node.world.owner.put(node.world.layout.job_over(JOB), b"")
    node.world.clock.advance(61)
    again.turn()
    assert again.worker.wait(60)
    assert node.world.stands() == "old"
    assert node.told("prepare", restore_of_monday())[0] == "failed", "it is over"


def test_a_job_that_cannot_be_seen_to_have_ended_is_kept_and_that_is_told_once(
    node: Told, caplog: pytest.LogCaptureFixture
) -> None:
    node.told("prepare", restore_of_monday())
    node.world.owner.put(node.world.layout.job_over(JOB), b"")
    forbids = Denied("The bucket forbids to read that.", hint="Compare with docs/permissions.md.", operation="head")

    def forbidden(call: str, keep_on: KeepOn) -> None:
        keep_on()
        if call == "head":
            raise forbids

    node.before_call = forbidden
    again = replace(node.agent)
    for _ in range(3):
        node.world.clock.advance(61)
        again.turn()
        assert again.worker.wait(60)
    assert [record.getMessage() for record in caplog.records if forbids.message in record.getMessage()] == [
        f"the node was not looked at yet: {forbids.message}"
    ]
    assert node.world.journal() is not None
    node.before_call = lambda _call, keep_on: keep_on()
    node.world.clock.advance(61)
    again.turn()
    assert again.worker.wait(60)
    assert node.world.stands() == "old"


def test_a_backup_is_good_though_its_snapshot_cannot_be_cleared(node: Told, caplog: pytest.LogCaptureFixture) -> None:
    node.world.node.fails = {"clear_snapshot"}
    outcome, why = node.told("backup", {"backup": "tuesday"})
    assert (outcome, " new. the snapshot medusa-shipper-tuesday is left" in why) == ("done", True), why
    assert "after backup tuesday: 'clear_snapshot' failed." in caplog.text


def test_a_node_that_was_stopped_is_never_let_go(node: Told) -> None:
    node.told("prepare", restore_of_monday())
    node.all_done("stop")
    node.world.owner.put(node.world.layout.job_over(JOB), b"")
    node.world.clock.advance(61)
    again = replace(node.agent)
    again.turn()
    assert again.worker.wait(60)
    journal = node.world.journal()
    assert journal is not None
    assert journal.phase == "placing"


def test_the_schema_is_made_before_the_rows_come_and_its_indexes_after_them(node: Told) -> None:
    node.world.owner.put(node.world.layout.meta(NAME, "monday", DESCRIBE), DESCRIBED.encode())
    asked: dict[str, object] = {"backup": "monday", "sources": [NAME]}
    assert node.told("schema", asked) == ("done", "The schema of monday is made.")
    assert ("shop", "by_tags") not in node.server.server.schema.indexes
    for _ in range(2):
        outcome, why = node.told("index", asked)
        assert (outcome, "1 storage attached index is made;" in why) == ("done", True), why
        assert ("shop", "by_tags") in node.server.server.schema.indexes


def test_indexes_of_other_tables_are_left_alone(node: Told) -> None:
    node.world.owner.put(node.world.layout.meta(NAME, "monday", DESCRIBE), DESCRIBED.encode())
    asked: dict[str, object] = {"backup": "monday", "sources": [NAME], "tables": ["shop.plain"]}
    node.told("schema", asked)
    assert node.told("index", {**asked, "verify": False}) == ("done", "monday has no storage attached indexes.")


def test_an_index_that_cannot_be_made_is_told(node: Told) -> None:
    node.world.owner.put(node.world.layout.meta(NAME, "monday", DESCRIBE), DESCRIBED.encode())
    outcome, why = node.told("index", {"backup": "monday", "sources": [NAME]})
    assert outcome == "failed"
    assert "Statement 1 of 1 of the schema (create index shop.by_tags) failed" in why


def test_what_is_fetched_into_an_emptied_node_is_left_at_once_told_and_gone_on_with(node: Told) -> None:
    """As ``prepare`` otherwise: for hours, so that nobody who stops the agent waits for it."""
    node.told("prepare", restore_of_monday(stop_first=True))
    node.all_done("stop")
    fetching = threading.Event()

    def slowly(call: str, keep_on: KeepOn) -> None:
        keep_on()
        while call == "fetch" and fetching.is_set():
            time.sleep(0.01)
            keep_on()
        if call == "fetch" and node.coordinator.states()[-1].of:
            fetching.set()

    node.before_call = slowly
    node.number += 1
    node.coordinator.command("place", node.number)
    node.agent.turn()
    assert fetching.wait(60)
    assert node.agent.stop(60)
    last, journal = node.coordinator.states()[-1], node.world.journal()
    assert journal is not None
    assert (last.verb, last.outcome, journal.phase) == ("place", "doing", "refilling")
    assert last.of > 0
    fetching.clear()
    node.before_call = lambda _call, keep_on: keep_on()
    node.agent = node.open()
    for _ in range(2):
        node.agent.turn()
        assert node.agent.worker.wait(60)
    assert node.coordinator.states()[-1].outcome == "done"
    node.all_done("start", "check", "commit")
    assert node.world.stands() == "new"


def test_what_only_moves_files_is_finished_by_an_agent_that_is_stopped(node: Told) -> None:
    node.told("prepare", restore_of_monday())
    node.all_done("stop")
    node.number += 1
    node.coordinator.command("place", node.number)
    node.agent.turn()
    assert node.agent.stop(60)
    assert node.coordinator.states()[-1].outcome == "done"


def test_when_the_old_data_is_deleted_nothing_is_put_back(node: Told) -> None:
    node.told("prepare", restore_of_monday(stop_first=True))
    node.all_done("stop")
    outcome, why = node.told("put-back")
    assert outcome == "failed"
    assert "there is nothing to go back to" in why
