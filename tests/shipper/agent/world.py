"""An agent on a recorded node and a bucket that is a directory; verbs that remember, and a coordinator that signs.

The loop does not run: a test turns it, and waits for what was begun.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from backupstore.core.commands import Command, Payload, signed
from backupstore.core.documents import decode, encode
from backupstore.core.job_documents import NodeState, Outcome, Verb
from backupstore.core.layout import Layout
from backupstore.core.obedience import Seen
from backupstore.errors import BackupError
from backupstore.ports import Clock, ObjectStore
from backupstore.settings.schedules import read_schedule
from backupstore.signing import Ed25519Signer, read_public_keys, read_signer, write_pair
from backupstore.stores.checked import CheckedStore
from backupstore.stores.local import LocalStore
from shipper.agent.answers import Answers
from shipper.agent.backups import Backups
from shipper.agent.loop import Agent
from shipper.agent.mailbox import Mailbox
from shipper.agent.memory import recall
from shipper.agent.orders import Orders
from shipper.agent.slots import Diary
from shipper.agent.verbs import Work
from shipper.agent.worker import KeepOn
from shipper.backup import Limits, Report
from shipper.site import Site
from shipper.state import StateDirectory
from shipper.timetable import Timetable
from tests.clocks import SharedClock
from tests.recorded import NAME, SMALL, RecordedNode

JOB = "restore-20261123120000-0123abcd"
OTHER_JOB = "restore-20261123130000-4567cdef"
PREFIX = "prod"
MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0


@dataclass
class KnownVerbs:
    """``shipper.agent.verbs.Verbs``: remembers what it was told, and does what the test says (``acts``)."""

    acts: dict[str, Callable[[Payload, Work], None]] = field(default_factory=dict)
    obeyed: list[tuple[str, int, int]] = field(default_factory=list)

    def obey(self, command: Payload, work: Work) -> str:
        self.obeyed.append((command.verb, command.epoch, command.number))
        if command.verb in self.acts:
            self.acts[command.verb](command, work)
        return f"{command.verb} came to its end"

    def forget_missed(self, work: Work) -> None:
        work.keep_on()


@dataclass
class Coordinator:
    """Signs, and writes where the nodes look."""

    store: ObjectStore
    layout: Layout
    signer: Ed25519Signer
    clock: Clock
    job: str
    node: str = NAME

    def payload(self, verb: Verb = "stop", number: int = 1, **other: Any) -> Payload:  # noqa: ANN401 -- fields
        now = self.clock.now()
        given = {
            "prefix": self.layout.prefix,
            "node": self.node,
            "job": self.job,
            "epoch": 1,
            "number": number,
            "verb": verb,
            "issued": now,
            "expires": now + HOUR,
        }
        return Payload(**{**given, **other})

    def command(self, verb: Verb = "stop", number: int = 1, **other: Any) -> Command:  # noqa: ANN401 -- the same
        document = signed(self.payload(verb, number, **other), self.signer.key_id, self.signer.sign)
        self.write(encode(document))
        return document

    def write(self, body: bytes) -> None:
        self.store.put(self.layout.command(self.node), body)

    def states(self, job: str | None = None) -> list[NodeState]:
        """What the node has answered, in its order."""
        folder = self.layout.job_states(job or self.job, self.node)
        found = [decode(NodeState, self.store.read(each.key).body, each.key) for each in self.store.list(folder)]
        return sorted(found, key=lambda state: state.seq)

    def outcomes(self, job: str | None = None) -> list[tuple[int, Outcome]]:
        """Numbers with outcomes, what repeats itself once."""
        told: list[tuple[int, Outcome]] = []
        for state in self.states(job):
            if not told or told[-1] != (state.number, state.outcome):
                told.append((state.number, state.outcome))
        return told


@dataclass
class AgentWorld:
    """``open()`` is the agent as it starts: with what lies in the state directory, and nothing else."""

    base: Path
    node: RecordedNode
    store: ObjectStore
    clock: SharedClock
    coordinator: Coordinator
    verbs: KnownVerbs = field(default_factory=KnownVerbs)
    schedule: str = "0 * * * *"
    stagger: float = 0.0
    agents: list[Agent] = field(default_factory=list)

    @property
    def state(self) -> StateDirectory:
        return StateDirectory(self.base / "state")

    @property
    def layout(self) -> Layout:
        return Layout(PREFIX)

    @property
    def site(self) -> Site:
        return Site(self.store, self.layout, self.node, NAME, self.state, self.clock, "bucket")

    @contextmanager
    def open_site(self, keep_on: KeepOn) -> Iterator[Site]:
        yield replace(self.site, store=CheckedStore(self.store, lambda _call, _key: keep_on()))

    def open(self) -> Agent:
        state = self.state
        state.prepare()
        now = self.clock.now()
        seen = recall(state, "agent", nothing=Seen(), unreadable=Seen(issued=now))
        answers = Answers(self.store, self.layout, NAME, self.clock, seen)
        keys = read_public_keys(self.base / "keys" / "command-keys")
        orders = Orders(
            Mailbox(self.store, self.layout, NAME, keys, state), seen, answers, answers, self.verbs, self.clock
        )
        backups = Backups(
            timetable=Timetable(read_schedule(self.schedule)) if self.schedule else None,
            diary=recall(state, "schedule", nothing=Diary(since=now), unreadable=Diary(since=now)),
            state=state,
            clock=self.clock,
            open_site=self.open_site,
            measured=told_nobody,
            limits=Limits(workers=2),
            stagger=self.stagger,
        )
        agent = Agent(backups, orders, self.clock, interval=lambda: 0.0)
        self.agents.append(agent)
        return agent

    def turn(self, agent: Agent, times: int = 1) -> None:
        """Turn the loop, and wait for the end of what each turn began."""
        for _ in range(times):
            agent.turn()
            assert agent.worker.wait(60)

    def backups(self) -> list[str]:
        """Names of the finished backups of the node."""
        folder = self.layout.node(NAME)
        keys = [each.key.removeprefix(folder) for each in self.store.list(folder)]
        return sorted(key.partition("/")[0] for key in keys if key.endswith("/meta/manifest.json"))


def told_nobody(_name: str) -> AbstractContextManager[Callable[[Report], None]]:
    return nullcontext(lambda _report: None)


def make_world(base: Path, *, seed: int = 0) -> AgentWorld:
    """A node with one flush of a few tables, and an empty bucket, half an hour after the last slot of an hourly schedule.

    The bucket's files have the times of this machine, so the clock begins where that stands.
    """
    RecordedNode.make(base / "node", tables=SMALL, seed=seed)
    (base / "bucket").mkdir()
    (base / "keys").mkdir()
    write_pair(base / "keys")
    return open_world(base, SharedClock(time.time() // HOUR * HOUR + HOUR / 2))


def open_world(base: Path, clock: SharedClock) -> AgentWorld:
    """The world that lies there."""
    store = LocalStore(base / "bucket")
    signer = read_signer(base / "keys" / "signing.key")
    coordinator = Coordinator(store, Layout(PREFIX), signer, clock, JOB)
    return AgentWorld(base, RecordedNode(base / "node"), store, clock, coordinator)


class Gate:
    """A verb that goes on when it is let; it asks all the time whether to keep on."""

    def __init__(self) -> None:
        self.began = threading.Event()
        self.goes_on = threading.Event()

    def __call__(self, _command: Payload, work: Work) -> None:
        self.began.set()
        while not self.goes_on.wait(0.01):
            work.keep_on()


def failing(error: BackupError) -> Callable[[Payload, Work], None]:
    def fail(_command: Payload, _work: Work) -> None:
        raise error

    return fail


def prepare() -> dict[str, object]:
    """Arguments of ``prepare``."""
    return {"backup": "b1", "sources": [NAME], "targets": [NAME]}
