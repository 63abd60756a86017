"""What is left of jobs that are long over is deleted, and nothing else, wherever one of them is killed meanwhile."""

from __future__ import annotations

import pytest

from backupstore.core.job_documents import Wait
from backupstore.core.writers import Principal
from backupstore.operations.coordinate import Coordinated
from backupstore.operations.job_news import JobNews
from backupstore.operations.job_store import open_jobs
from backupstore.operations.job_upkeep import KEPT, forgotten_marks, tidy_jobs
from tests.killing import Point, Trigger, killed, killing
from tests.operations.fleet import DAY, NOW
from tests.operations.jobs import World, world
from tests.operations.queued import TWO, queued_site

MINUTE = 60.0


def tidy(here: World) -> tuple[str, ...]:
    """As who coordinates."""
    return tidy_jobs(here.bucket.open(Principal.COORDINATOR, here.layout), here.layout, here.clock.now())


def done(here: World, kind: str = "restore") -> str:
    """A job that is carried out; a minute goes by."""
    job = here.ask(kind)
    here.run()
    here.clock.advance(MINUTE)
    return job


def of(here: World, job: str) -> list[str]:
    """The keys that speak of a job, but for holds."""
    return [key for key in here.contents() if job in key and "/holds/" not in key]


def test_what_is_long_over_goes_but_for_the_mark_and_the_newest_of_each_kind() -> None:
    here = world()
    first = done(here)
    here.wish(first, "resume")
    backups = [done(here, "backup"), done(here, "backup")]
    second, third = done(here), done(here, "backup")
    here.clock.advance(KEPT - 10 * MINUTE)
    assert tidy(here) == ()
    here.clock.advance(20 * MINUTE)
    before = here.contents()
    assert tidy(here) == (first, *backups)
    for job in (first, *backups):
        assert of(here, job) == [here.layout.job_over(job)]
    left = here.contents()
    assert {key for key in before if second in key or third in key} <= left.keys()
    assert left.items() <= before.items()
    assert tidy(here) == ()
    assert here.call() == ()


def test_what_was_driven_last_stays_though_a_younger_one_was_called_off() -> None:
    """The turn is that job's until another one is begun."""
    here = world()
    driven = here.ask()
    here.call()
    here.clock.advance(MINUTE)
    younger = here.ask()
    here.wish(younger, "rollback")
    here.run()
    assert (here.job(driven).phase, here.job(younger).phase) == ("committed", "rolled-back")
    here.clock.advance(KEPT + MINUTE)
    assert tidy(here) == ()
    here.clock.advance(MINUTE)
    done(here)
    assert tidy(here) == (driven, younger)


def test_what_is_open_stays_however_old_it_is() -> None:
    here = world()
    here.agents.clear()
    waiting = here.ask()
    here.agents["n3"].answer = lambda _: None
    here.run()
    queued = here.ask("backup")
    here.call()
    here.clock.advance(3 * KEPT)
    before = {key: body for key, body in here.contents().items() if waiting in key or queued in key}
    assert tidy(here) == ()
    assert before.items() <= here.contents().items()
    here.agents["n3"].answer = lambda _: "done"
    here.wish(waiting, "resume")
    here.run()
    assert (here.job(waiting).phase, here.job(queued).phase) == ("committed", "done")


def test_who_was_left_behind_stays_on_record_for_ever() -> None:
    """What has to be done there before it may be started stands nowhere else."""
    here = world()
    job = here.ask()
    here.run_until(job, "placing")
    here.agents["n3"].answer = lambda _: None
    here.run()
    here.clock.advance(901)
    here.wish(job, "rollback", "n3")
    here.run()
    assert [each.node for each in here.job(job).given_up] == ["n3"]
    here.clock.advance(MINUTE)
    here.agents["n3"].answer = lambda _: "done"
    unread, later = done(here), [done(here), done(here), done(here, "backup")]
    here.owner.put(here.layout.job(unread), b"{")
    here.clock.advance(3 * KEPT)
    before = here.contents()
    assert tidy(here) == (later[0],)
    left = here.contents()
    assert {key for key in before if job in key or unread in key} <= left.keys(), "nor what nobody can read"
    assert list(forgotten_marks(here.owner, here.layout, here.clock.now())) == [here.layout.job_over(later[0])]


def stage() -> tuple[World, str]:
    """An old job that may go, and a younger one."""
    here = world()
    old = done(here)
    here.wish(old, "resume")
    here.clock.advance(KEPT)
    done(here)
    here.clock.advance(MINUTE)
    return here, old


def test_killed_at_any_call_the_job_is_never_begun_anew_and_the_rest_is_found() -> None:
    here, _ = stage()
    calm = Trigger()
    tidy_jobs(killing(here.owner, calm, "store"), here.layout, here.clock.now())
    for number in range(1, len(calm.calls) + 1):
        here, old = stage()
        did = {node: here.verbs(node) for node in here.agents}
        store = killing(here.owner, Trigger(Point(number)), "store")
        assert killed(lambda store=store, here=here: tidy_jobs(store, here.layout, here.clock.now()))  # type: ignore[misc]
        assert old not in open_jobs(here.owner, here.layout)
        here.run()
        assert {node: here.verbs(node) for node in here.agents} == did, f"killed at {number}"
        tidy(here)
        assert of(here, old) == [here.layout.job_over(old)], f"killed at {number}"


def test_a_wish_that_comes_after_all_was_deleted_begins_nothing() -> None:
    here, old = stage()
    tidy(here)
    here.wish(old, "resume")
    assert here.call() == ()
    assert tidy(here) == (old,)
    assert of(here, old) == [here.layout.job_over(old)]


def test_a_mark_goes_when_nothing_is_left_that_could_be_begun() -> None:
    here, old = stage()
    assert list(forgotten_marks(here.owner, here.layout, here.clock.now())) == []
    tidy(here)
    assert list(forgotten_marks(here.owner, here.layout, here.clock.now())) == [here.layout.job_over(old)]
    here.owner.delete([here.layout.job_over(old)])
    here.wish(old, "resume")
    here.run()
    assert here.job(old).phase == "refused", "without a request nothing is begun"


def test_a_purge_deletes_old_marks_of_which_nothing_else_is_left() -> None:
    fleet = queued_site().fleet
    layout, names = fleet.layout, [f"backup-2026010102000{number}-0000000a" for number in range(3)]
    fleet.time = NOW - 91 * DAY
    for name in names[:2]:
        fleet.store.create(layout.job_over(name), b"")
    fleet.store.create(layout.job_request(names[1]), b"{}")
    fleet.time = NOW - 89 * DAY
    fleet.store.create(layout.job_over(names[2]), b"")
    fleet.time = NOW
    fleet.purge(TWO)
    assert fleet.keys(layout.jobs_over()) == [layout.job_over(name) for name in names[1:]]


# --- what is said of it ---
def waits(*why: str, job: str = "j") -> Coordinated:
    return Coordinated(job, "placing", "placing", "", tuple(Wait(node=node, why="silent") for node in why))


@pytest.mark.parametrize(
    ("said", "new"),
    [
        ((waits("n1"), waits("n1")), ["n1"]),
        ((waits("n1"), waits("n1", "n2"), waits("n2"), waits("n1", "n2")), ["n1", "n2", "n1"]),
        ((waits("n1"), waits(), waits("n1")), ["n1", "n1"]),
        ((waits("n1"), waits("n1", job="k")), ["n1", "n1"]),
    ],
)
def test_a_reason_to_wait_is_said_once(said: tuple[Coordinated, ...], new: list[str]) -> None:
    news, other = JobNews(), JobNews()
    told = [wait.node for each in said for wait in news.waits("p", each)]
    assert told == new
    assert [wait.node for wait in other.waits("p", said[0])] == ["n1"], "another process says it as well"
    assert [wait.node for wait in news.waits("q", said[0])] == ["n1"], "and so does another cluster"
