"""Coordinating a cluster's jobs on a store: to their end, through crashes, beside another coordinator, and one at a time."""

from __future__ import annotations

import dataclasses
import json
from concurrent.futures import ThreadPoolExecutor
from random import Random

import pytest

from backupstore.core.commands import Command, read_payload, signed
from backupstore.core.documents import Condemned, decode, encode
from backupstore.core.job_documents import NodeState
from backupstore.core.key_parsing import job_key, parse_in
from backupstore.core.writers import Principal
from backupstore.errors import Corrupt
from backupstore.ports import Document
from backupstore.signing import signer_of
from tests.interleaving import Around, Interleaved, Stepper
from tests.killing import Point, Trigger, killed, killing
from tests.operations.jobs import FORWARDS, World, world
from tests.played_nodes import PlayedNode


def test_a_restore_goes_through_its_phases_to_the_commit() -> None:
    here = world()
    job = here.ask()
    here.run()
    assert here.job(job).phase == "committed"
    assert all(here.verbs(node) == FORWARDS for node in ("n1", "n2", "n3"))
    assert here.call() == (), "a job that is over costs nothing"


def test_many_nodes_are_looked_at_at_once() -> None:
    here = world()
    job = here.ask(nodes=20, seeds=3)
    with ThreadPoolExecutor(8) as pool:
        for _ in range(20):
            dataclasses.replace(here.coordinator(), each=pool.map).coordinate(here.clock.now())
            for agent in here.agents.values():
                agent.look(here.clock.now())
    assert here.job(job).phase == "committed"
    assert all(here.verbs(node) == FORWARDS for node in here.agents)


def test_a_call_without_need_changes_nothing() -> None:
    here = world()
    here.ask()
    here.call()
    before = here.contents()
    assert [each.told for each in here.call()] == [()]
    assert here.contents() == before


@pytest.mark.parametrize("verb", FORWARDS[:-1])
def test_one_failure_takes_all_back(verb: str) -> None:
    here = world()
    job = here.ask()
    here.agents["n2"].answer = lambda payload: "failed" if payload.verb == verb else "done"
    if verb == "start":
        here.agents["n2"].answer = lambda payload: "failed" if (payload.verb, payload.epoch) == (verb, 1) else "done"
    here.run()
    stands = here.job(job)
    assert (stands.phase, stands.decision) == ("rolled-back", "rollback")
    assert "n2" in stands.why
    assert "as the test wants it" in stands.why
    for node in here.agents:
        back = [name for name, epoch in here.agents[node].did if epoch == 2]
        assert back == (["put-back"] if verb == "prepare" else ["put-back", "start"])


def test_a_silent_node_is_named_and_a_wish_tells_it_again() -> None:
    here = world()
    job = here.ask()
    here.agents["n3"].answer = lambda payload: None if payload.verb == "place" else "done"
    here.run()
    assert (here.job(job).phase, here.job(job).waiting) == ("placing", ())
    here.clock.advance(901)
    here.run()
    (wait,) = here.job(job).waiting
    assert wait.node == "n3"
    assert "place" in wait.why
    assert "restore-resume" in wait.hint
    here.agents["n3"].answer = lambda _: "done"
    wish = here.wish(job, "resume")
    here.run()
    stands = here.job(job)
    assert (stands.phase, stands.epoch, stands.waiting) == ("committed", 2, ())
    assert [(each.id, each.came) for each in stands.wishes] == [(wish, "told again: n3")]


def test_a_node_that_comes_too_late_refuses_and_is_told_again_only_by_wish() -> None:
    here = world()
    job = here.ask()
    late = here.agents.pop("n2")
    here.run()
    here.clock.advance(901)
    here.call()
    here.agents["n2"] = late
    here.run()
    assert late.refusals == ["expired"]
    assert here.job(job).phase == "preparing", "nothing failed"
    assert "expired" in here.job(job).waiting[0].why
    here.wish(job, "resume")
    here.run()
    assert here.job(job).phase == "committed"


def test_who_goes_on_after_all_needs_no_wish() -> None:
    here = world()
    job = here.ask()
    here.agents["n3"].answer = lambda _: None
    here.run()
    here.clock.advance(901)
    here.run()
    assert here.job(job).waiting
    here.agents["n3"].answer = lambda _: "done"
    here.run()
    assert here.job(job).phase == "committed"


def test_a_node_that_tells_of_its_progress_is_not_silent() -> None:
    here = world()
    job = here.ask()
    busy = here.agents["n3"]
    busy.answer = lambda _: "doing"
    here.call()
    for _ in range(5):
        here.clock.advance(600)
        busy.look(here.clock.now())
        here.call()
        assert not [wait for wait in here.job(job).waiting if wait.node == "n3"]
    assert here.job(job).nodes["n3"].outcome == "doing"


def test_a_rollback_that_fails_waits_and_a_wish_tries_again() -> None:
    here = world()
    job = here.ask()
    here.run_until(job, "starting")
    here.agents["n1"].answer = lambda payload: "failed" if payload.verb == "put-back" else "done"
    here.wish(job, "rollback")
    here.run()
    stands = here.job(job)
    assert (stands.phase, [wait.node for wait in stands.waiting]) == ("rolling-back", ["n1"])
    assert "start" not in [verb for verb, epoch in here.agents["n2"].did if epoch == 2], "no node before its seeds"
    here.agents["n1"].answer = lambda _: "done"
    here.wish(job, "resume")
    here.run()
    assert here.job(job).phase == "rolled-back"
    assert here.verbs("n1")[-2:] == ["put-back", "start"]


def test_nothing_leads_back_after_the_decision() -> None:
    here = world()
    job = here.ask()
    here.run_until(job, "committing")
    here.agents["n2"].answer = lambda _: "failed"
    here.wish(job, "rollback")
    here.run()
    stands = here.job(job)
    assert (stands.phase, stands.decision) == ("committing", "commit")
    assert "too late" in stands.wishes[0].came
    assert [wait.node for wait in stands.waiting] == ["n2"]
    here.agents["n2"].answer = lambda _: "done"
    here.wish(job, "resume")
    here.run()
    assert here.job(job).phase == "committed"
    assert all("put-back" not in here.verbs(node) for node in here.agents)


def test_old_data_that_was_deleted_first_cannot_come_back() -> None:
    here = world()
    job = here.ask(stop_first=True)
    here.agents["n2"].answer = lambda payload: "failed" if payload.verb == "place" else "done"
    here.run()
    assert (here.job(job).phase, here.job(job).waiting[0].node) == ("placing", "n2")
    here.wish(job, "rollback")
    here.run()
    assert "too late" in here.job(job).wishes[0].came


def test_by_sstableloader_one_node_makes_the_schema_and_so_many_load_at_once() -> None:
    here = world()
    job = here.ask(method="sstableloader", parallel=2, seeds=0)
    at_work: list[int] = []
    for agent in here.agents.values():
        agent.answer = lambda payload: "doing" if payload.verb == "load" else "done"
    here.run_until(job, "loading")
    at_work.append(sum(part.verb == "load" for part in here.job(job).nodes.values()))
    for agent in here.agents.values():
        agent.answer = lambda _: "done"
    here.run()
    assert here.job(job).phase == "committed"
    assert at_work == [2]
    assert sorted(tuple(here.verbs(node)) for node in here.agents) == [
        ("prepare", "load"),
        ("prepare", "load"),
        ("prepare", "schema", "load", "index"),
    ]


def test_indexes_that_cannot_be_made_make_the_job_wait() -> None:
    here = world()
    job = here.ask(method="sstableloader", seeds=0)
    here.agents["n1"].answer = lambda payload: "failed" if payload.verb == "index" else "done"
    here.run()
    assert (here.job(job).phase, [wait.node for wait in here.job(job).waiting]) == ("indexing", ["n1"])
    here.wish(job, "rollback")
    here.run()
    assert "too late" in here.job(job).wishes[0].came
    here.agents["n1"].answer = lambda _: "done"
    here.wish(job, "resume")
    here.run()
    assert here.job(job).phase == "committed"
    assert here.verbs("n1")[-2:] == ["index", "index"]


def test_with_the_old_data_deleted_first_so_many_nodes_fetch_at_once_when_they_place() -> None:
    for stop_first, at_once in ((True, 2), (False, 3)):
        here = world()
        job = here.ask(stop_first=stop_first, parallel=2)
        for agent in here.agents.values():
            agent.answer = lambda payload: "doing" if payload.verb == "place" else "done"
        here.run_until(job, "placing")
        assert sum(part.verb == "place" for part in here.job(job).nodes.values()) == at_once
        for _ in range(3):  # patience is that of fetching: who tells of its progress is not silent
            here.clock.advance(600)
            for agent in here.agents.values():
                agent.look(here.clock.now())
            here.call()
        assert (here.job(job).phase, here.job(job).waiting) == ("placing", ())
        for agent in here.agents.values():
            agent.answer = lambda _: "done"
        here.run()
        assert here.job(job).phase == "committed"


def test_a_backup_names_the_nodes_without_one() -> None:
    here = world()
    job = here.ask("backup")
    here.agents["n2"].answer = lambda _: "failed"
    here.agents["n3"].answer = lambda _: None
    here.run()
    here.clock.advance(901)
    here.run()
    stands = here.job(job)
    assert stands.phase == "ended-with-failures"
    assert "n2: backup failed: as the test wants it" in stands.why
    assert "n3: backup failed: no answer" in stands.why
    again = here.ask("backup")
    here.agents["n2"].answer = here.agents["n3"].answer = lambda _: "done"
    here.run()
    assert here.job(again).phase == "done"
    assert here.holds() == [], "there is nothing to hold"


# --- crashes and company ---
BACK = ["prepare", "stop", "put-back", "start"]


@pytest.mark.parametrize("part", range(4))
def test_killed_at_any_call_nothing_is_lost_and_nothing_is_done_twice(part: int) -> None:
    """Whoever has only read may as well be killed before the next call."""
    undisturbed = Trigger()
    story(undisturbed, world())
    points = [
        Point(number, when)
        for number, call in enumerate(undisturbed.calls, 1)
        for when in (("before", "after") if call in {"store.create", "store.replace"} else ("before",))
    ]
    assert len(points) > 200
    for point in points[part::4]:
        here, trigger = world(), Trigger(point)
        assert story(trigger, here) == ["rolled-back", "committed"], f"killed {point}"
        assert trigger.dead
        assert all(here.verbs(node) == BACK + FORWARDS for node in here.agents), f"killed {point}"


def story(trigger: Trigger, here: World) -> list[str]:
    """A restore that fails in its middle, and another one that does not; one of the coordinators is killed."""
    jobs = [here.ask(nodes=2)]
    here.agents["n2"].answer = lambda payload: "failed" if (payload.job, payload.verb) == (jobs[0], "stop") else "done"
    for _ in range(100):
        if trigger.dead:
            here.call()
        else:
            killed(
                lambda: here.coordinator(lambda store: killing(store, trigger, "store")).coordinate(here.clock.now())
            )
        moved = [agent.look(here.clock.now()) for agent in here.agents.values()]
        if any(moved) or not here.has_job(jobs[-1]) or not here.job(jobs[-1]).is_over:
            continue
        if len(jobs) == 2:
            here.call()
            return [here.job(job).phase for job in jobs]
        here.clock.advance(5)
        jobs.append(here.ask(nodes=2))
    raise AssertionError("it never comes to its end")


@pytest.mark.parametrize("seed", range(20))
def test_two_coordinators_at_once_are_like_one(seed: int) -> None:
    here = world()
    stepper = Stepper(f"coordinators {seed}")
    chance = Random(seed)
    first = here.ask()
    here.clock.advance(1)
    second = here.ask("backup")
    failing = chance.choice(["place", "check", "none"])
    here.agents["n2"].answer = lambda payload: "failed" if payload.verb == failing else "done"

    def coordinate() -> None:
        for _ in range(25):
            here.coordinator(lambda store: Interleaved(store, stepper)).coordinate(here.clock.now())

    def obey(agent: PlayedNode) -> None:
        for _ in range(60):
            stepper.step()
            agent.look(here.clock.now())

    acts = [coordinate, coordinate, *(lambda agent=agent: obey(agent) for agent in here.agents.values())]
    stepper.run(acts)
    here.run()
    assert here.job(first).phase == ("committed" if failing == "none" else "rolled-back")
    assert here.job(second).phase == "done"
    for node in here.agents:
        verbs = here.verbs(node)
        assert len(verbs) == len(set(verbs)) or verbs.count("start") == 2
        assert verbs[-1] == "backup", "the second one's turn comes when the first one is over"


def test_who_sleeps_between_job_and_commands_writes_over_nothing_later() -> None:
    here = world()
    job = here.ask()
    here.run_until(job, "stopping")
    for agent in here.agents.values():
        agent.look(here.clock.now())

    class Asleep(Around):
        """While it sleeps before its first command, everything goes on."""

        slept = False

        def read(self, key: str, *, limit: int = 64 << 20) -> Document:
            if "/commands/" in key and not self.slept:
                self.slept = True
                here.wish(job, "rollback")
                here.run()
            return super().read(key, limit=limit)

    sleeper = here.coordinator(Asleep)
    sleeper.coordinate(here.clock.now())
    here.run()
    assert here.job(job).phase == "rolled-back"
    assert all(here.verbs(node) == BACK for node in here.agents)
    assert all(agent.refusals == [] for agent in here.agents.values())


# --- one at a time ---
def test_a_second_job_says_whom_it_waits_for_and_may_be_called_off() -> None:
    here = world()
    first = here.ask()
    here.clock.advance(1)
    second, third = here.ask(), here.ask("backup")
    here.call()
    for job in (second, third):
        assert (here.job(job).phase, first in here.job(job).waiting[0].why) == ("queued", True)
    here.wish(second, "rollback")
    here.call()
    assert here.job(second).phase == "rolled-back"
    here.run()
    assert [here.job(job).phase for job in (first, third)] == ["committed", "done"]


def test_a_job_with_an_older_name_that_comes_later_waits_as_well() -> None:
    here = world()
    here.clock.advance(10)
    first = here.ask()
    here.call()
    here.clock.advance(-10)
    second = here.ask()
    here.call()
    assert second < first
    assert here.job(second).phase == "queued"
    assert here.job(first).phase == "preparing"


def test_a_listing_that_is_behind_takes_nobodys_turn() -> None:
    here = world()
    here.clock.advance(10)
    second = here.ask()

    class Behind(Around):
        """Between its listing and its look whose turn it is, an older job comes and is begun."""

        def read(self, key: str, *, limit: int = 64 << 20) -> Document:
            if key == here.layout.job_turn() and not first:
                here.clock.advance(-10)
                first.append(here.ask())
                here.coordinator().coordinate(here.clock.now())
            return super().read(key, limit=limit)

    first: list[str] = []
    here.coordinator(Behind).coordinate(here.clock.now())
    assert [here.job(job).phase for job in (*first, second)] == ["preparing", "queued"]


def test_who_is_behind_does_not_hold_up_a_job_whose_turn_has_come() -> None:
    here = world()
    here.ask()
    here.clock.advance(1)
    second = here.ask()
    here.call()

    class Behind(Around):
        """Before it tells the second job to wait, the first one ends."""

        ended = False

        def read(self, key: str, *, limit: int = 64 << 20) -> Document:
            if key == here.layout.job_request(second) and not self.ended:
                self.ended = True
                here.run_until(second, "stopping")
            return super().read(key, limit=limit)

    here.coordinator(Behind).coordinate(here.clock.now())
    assert (here.job(second).phase, here.job(second).waiting) == ("stopping", ())


# --- what may be wrong in the bucket ---
def test_a_request_that_cannot_be_read_is_refused_and_blocks_nobody() -> None:
    here = world()
    bad = "restore-20200101000000-0a1b2c3d"
    here.owner.create(here.layout.job_request(bad), b"{}")
    good = here.ask()
    here.run()
    assert here.job(bad).phase == "refused"
    assert "cannot be read" in here.job(bad).why
    assert here.job(good).phase == "committed"


@pytest.mark.parametrize(
    "changed",
    [
        {"keyspaces": ["k" * 501]},
        {"keyspaces": ["--host=elsewhere"]},
        {"tables": ["ks.t" * 501]},
        {"tables": ["ks"]},
        {"tables": ["ks.t,-x.y"]},
        {"datacenters": {"dc1": "x" * 501}},
        {"datacenters": {"x" * 501: "dc1"}},
        {"assignments": [{"target": "../n1", "sources": ["n1"], "seed": True}]},
        {"backup": "a/b"},
        {"backup": "\U0001d54f" * 255},
        {"assignments": [{"target": "\U0001d54f" * 255, "sources": ["n1"], "seed": True}]},
        {"assignments": [{"target": "n" * 251, "sources": ["n1"], "seed": True}]},
        {"patience": 1e300},
        {"created": 1e30},
        {"created": -1.0},
        {"by": "x" * (5 << 20)},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_a_request_that_no_command_could_be_made_of_is_refused_and_blocks_nobody(changed: dict[str, object]) -> None:
    here = world()
    bad = here.ask()
    key = here.layout.job_request(bad)
    asked = json.loads(here.owner.read(key).body)
    here.owner.put(key, json.dumps({**asked, **changed}).encode())
    here.clock.advance(1)
    good = here.ask("backup")
    here.run()
    assert here.job(bad).phase == "refused"
    assert len(here.job(bad).why) < 1000
    assert here.job(good).phase == "done"


def test_a_wish_fills_no_job_and_plays_no_tricks() -> None:
    here = world()
    job = here.ask()
    here.run_until(job, "preparing")
    name = here.wish(job, "resume")
    key = here.layout.job_wish(job, name)
    wish = json.loads(here.owner.read(key).body)
    long = {"by": "\x1b[2Jx" * 50_000, "without": [f"{number}-{'n' * 200}" for number in range(2000)]}
    here.owner.put(key, json.dumps({**wish, **long}).encode())
    here.call()
    (obeyed,) = here.job(job).wishes
    assert obeyed.by.isprintable()
    assert obeyed.came.startswith("nothing was done: ")
    assert len(here.owner.read(here.layout.job(job)).body) < 20_000


def test_a_request_that_is_lost_on_the_way_makes_the_job_wait() -> None:
    here = world()
    job = here.ask()
    here.run_until(job, "placing")
    here.owner.delete([here.layout.job_request(job)])
    here.owner.create(here.layout.job_request(job), b"junk")
    here.call()
    assert here.job(job).phase == "placing"
    assert "cannot be read" in here.job(job).waiting[0].why


def test_what_a_node_says_of_others_or_in_no_form_counts_for_nothing() -> None:
    here = world()
    job = here.ask()
    here.call()
    liar = here.bucket.open(Principal.SHIPPER, here.layout, "n2")
    lie = NodeState(node="n1", job=job, epoch=1, number=1, seq=1, verb="prepare", outcome="failed", at=0.0)
    liar.create(here.layout.job_state(job, "n2", 1, 1), encode(lie))
    liar.create(here.layout.job_state(job, "n2", 1, 2), b"\xff" * 100)
    (told,) = here.call()
    assert [error.key for error in told.strange] == [here.layout.job_state(job, "n2", 1, seq) for seq in (1, 2)]
    assert here.job(job).phase == "preparing"
    assert here.job(job).nodes["n1"].outcome is None
    here.run()
    assert here.job(job).phase == "committed", "n2 has answered after all"


def test_a_command_of_a_stranger_is_written_over() -> None:
    here = world()
    job = here.ask()
    here.call()
    key = here.layout.command("n1")
    stranger = signer_of("k1 " + "B" * 42 + "A=", "another key")
    forged = read_payload(decode(Command, here.owner.read(key).body, key).payload).model_copy(update={"number": 99})
    here.owner.put(key, encode(signed(forged, stranger.key_id, stranger.sign)))
    here.run()
    assert here.job(job).phase == "committed"


def test_a_job_that_cannot_be_read_stops_everything() -> None:
    here = world()
    job = here.ask()
    here.call()
    here.owner.put(here.layout.job(job), b"junk")
    with pytest.raises(Corrupt):
        here.call()


# --- holds ---
def test_a_backup_is_held_before_anybody_is_told_anything_and_again_while_the_job_lasts() -> None:
    here = world()
    job = here.ask()
    here.call()
    (hold,) = here.holds()
    assert (hold.backup, hold.id) == ("b", f"{job}-1")
    here.clock.advance(3 * 86400)
    here.call()
    assert [each.id for each in here.holds()] == [f"{job}-1", f"{job}-2"]
    assert here.job(job).held_until == here.clock.now() + 7 * 86400


def test_what_is_being_deleted_is_not_restored() -> None:
    here = world()
    condemned = Condemned(revision="r", run="1", node="n2", created=1.0, backups=("b",))
    here.owner.create(here.layout.condemned_document("n2", "1-0a"), encode(condemned))
    job = here.ask()
    here.run()
    assert here.job(job).phase == "refused"
    assert "n2" in here.job(job).why
    assert all(here.verbs(node) == [] for node in here.agents)


def test_keys_of_jobs_tell_what_they_say() -> None:
    here = world()
    job = here.ask()
    here.wish(job, "resume")
    here.run()
    said = [job_key(key) for stored in here.owner.list("") if (key := parse_in(here.layout, stored.key))]
    assert {each.what for each in said if each} == {"request", "wish", "state"}
    assert {each.job for each in said if each} == {job}
