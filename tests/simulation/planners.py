"""Purges of the whole cluster: planned by retention or by an operator's word, done by one process or by a queue's workers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from backupstore.core.retention import Policy
from backupstore.core.work import PurgeWork, read_work
from backupstore.core.writers import Principal
from backupstore.errors import BackupError, NotFound, Refused
from backupstore.operations import planning, purging, queued_purge
from backupstore.operations.doomed import read_record
from backupstore.operations.plan import Place
from backupstore.operations.purging import Run, Worker
from tests.simulation.bucket import Violation
from tests.simulation.world import DAY, GRACE, LAYOUT, ORPHANS, Crash, Machine, ProcessStore, World

POLICIES = (
    Policy(max_count=1),
    Policy(max_count=2),
    Policy(max_count=2, minimum_complete=2),
    Policy(max_age=1.5 * DAY),
    Policy(max_age=5 * DAY, minimum_complete=2),
    Policy(keep={"daily": 2}),
    Policy(keep={"weekly": 2}, max_age=2 * DAY),
)
_ASKED = 0.35
_QUEUED = 0.4


@dataclass
class Messages:
    """A queue whose messages come twice, late and in any order. ``ports.WorkQueue``. ``sent``: the nodes of each purge."""

    texts: list[str] = field(default_factory=list)
    sent: dict[str, set[str]] = field(default_factory=dict)

    def send(self, texts: Sequence[str]) -> None:
        """They are in it."""
        self.texts += texts
        for work in map(read_work, texts):
            if isinstance(work, PurgeWork):
                self.sent.setdefault(work.run, set()).add(work.node)


def planner(world: World, queue: Messages, policies: Sequence[Policy], *, rounds: int) -> None:
    """Purges now and then, each time as another host would."""
    for _ in range(rounds):
        world.wait(world.random.choice((0, 0, 20, 100)))
        run = f"run{world.number()}"
        try:
            _purge(world, queue, run, world.random.choice(policies))
        except Crash:
            world.tell("purge crashed")
        except (NotFound, Refused):
            world.tell("purge refused")
        except BackupError as error:
            world.tell(f"purge: {type(error).__name__}")
        world.bucket.decisions.end(run)


def worker(world: World, queue: Messages, *, rounds: int) -> None:
    """Takes a message now and then; what it could not do comes again, and some of what it did as well."""
    random, clock = world.random, Machine(world)
    for _ in range(rounds):
        world.wait(random.choice((0, 20, 60)))
        if not queue.texts:
            continue
        text = random.choice(queue.texts)
        at, indexer = _place(world, clock)
        try:
            done = queued_purge.work_off(Worker(at, world.revision, clock.running), read_work(text), indexer=indexer)  # type: ignore[arg-type] # of purges
        except Crash:
            world.tell("worker crashed")
        except BackupError as error:
            world.tell(f"worker: {type(error).__name__}")
        else:
            world.tell("worked" if done.result else "work came too late")
            if text in queue.texts and random.random() < 0.7:
                queue.texts.remove(text)


def work_all_off(world: World, queue: Messages) -> None:
    """What is still in the queue, while nobody else is at work. Then each purge of which all was in it must be over."""
    store, indexer = world.bucket.open(Principal.PURGE, LAYOUT), world.bucket.open(Principal.INDEXER, LAYOUT)
    world.bucket.foreign = world.bucket.indexing = False
    done = Worker(Place(store, LAYOUT, world.true_time), world.revision)
    for work in map(read_work, queue.texts):
        if isinstance(work, PurgeWork):
            queued_purge.work_off(done, work, indexer=indexer)
    for run, nodes in queue.sent.items():
        record = read_record(store, LAYOUT, run)
        if record and record.by_node.keys() <= nodes and record.finished is None:
            raise Violation(f"all nodes of {run} were worked off, and it is not over")


def _place(world: World, clock: Machine) -> tuple[Place, ProcessStore]:
    """The bucket as purge may use it, and as the indexer may."""
    random = world.random
    crashes, faults = random.choice((0.0, 0.0, 0.01)), random.choice((0.0, 0.0, 0.005))
    store = ProcessStore.open(world, Principal.PURGE, crashes=crashes, faults=faults)
    indexer = ProcessStore.open(world, Principal.INDEXER, crashes=crashes, faults=faults)
    return Place(store, LAYOUT, clock.now()), indexer


def _purge(world: World, queue: Messages, name: str, policy: Policy) -> None:
    random, clock = world.random, Machine(world)
    at, indexer = _place(world, clock)
    run = Run(name=name, grace=GRACE, orphan_grace=ORPHANS, revision=world.revision, running=clock.running, forced=True)
    good = sorted(world.bucket.good)
    if good and random.random() < _ASKED:
        wanted = random.choice((*good, good[-1]))
        plan = planning.asked_for(planning.make_plan(at, Policy()), wanted)
        world.bucket.decisions.asked.add(wanted)
        world.tell("delete-backup")
    else:
        world.bucket.decisions.begin(name, world.bucket.good, policy.spares)
        if random.random() < _QUEUED:
            sent = queued_purge.plan_and_send(at, policy, random.choice((0.5, 1.0)), run.opening, queue)
            world.tell("braked" if sent.braked else "work was sent" if sent.nodes else "nothing to send")
            return
        plan = planning.make_plan(at, policy)
    if any(one.lacks for one in plan.candidates.values()):
        world.tell("a smaller ring was seen")
    world.wait(random.choice((0, 0, 10, 60)))
    outcome = purging.carry_out(at, plan, run, indexer=indexer)
    world.tell("purged by plan" if outcome.plan.deletes else "nothing to purge")
    if outcome.plan.deletes != plan.deletes:
        world.tell("another purge was heard")
