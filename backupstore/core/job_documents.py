"""Jobs as documents: what an operator asks of a whole cluster, what the coordinator made of it, and what the nodes answer.

A job is a cluster restore or a cluster backup. Who asks, who coordinates and who obeys meet in the bucket only, and each of
them writes documents of its own: requests and wishes, the job, the nodes' states. Commands are in ``commands``.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from backupstore.core.documents import Mode, Own, Value
from backupstore.core.job_fields import Datacenter, JobId, Keyspace, Moment, Name, Said, Table
from backupstore.core.work import Segment

Kind = Literal["restore", "backup"]
Method = Literal["replace", "sstableloader"]
Verb = Literal["backup", "prepare", "stop", "place", "start", "check", "commit", "put-back", "schema", "load", "index"]
Outcome = Literal["doing", "done", "failed", "refused"]
WishKind = Literal["resume", "rollback"]
Phase = Literal[
    "queued",
    "preparing",
    "stopping",
    "placing",
    "starting-seeds",
    "starting",
    "checking",
    "committing",
    "rolling-back",
    "restarting-seeds",
    "restarting",
    "schema",
    "loading",
    "indexing",
    "backing-up",
    "committed",
    "rolled-back",
    "done",
    "ended-with-failures",
    "refused",
]
OVER: frozenset[Phase] = frozenset({"committed", "rolled-back", "done", "ended-with-failures", "refused"})
"""The phases that nothing follows."""
EXPIRED = "expired"
"""The code of a refusal because the command came too late: nothing was tried, so nothing failed."""
PATIENCE = 900.0
"""Seconds of silence after which a job waits for an operator, unless its request says otherwise."""
MOST_PATIENCE = 7 * 86_400.0
"""A command can be obeyed for so long, at most: nobody may ask for one that never expires."""

_MOST = 1 << 62


class Assignment(Value):
    """Onto which node the backups of which nodes go. For a backup: the node alone. ``seed``: others need it to start.

    ``remote``: the backup is another node's, whose tokens this one takes over. ``size``: bytes to be fetched, as planned.
    """

    target: Name
    sources: tuple[Name, ...] = ()
    seed: bool = False
    remote: bool = False
    size: int = Field(default=0, ge=0)


class Request(Own):
    """``index/jobs/requests/<job>/request.json``: what was asked, by whom. Never changed.

    ``parallel``: at most so many nodes fetch, load or back up at once; 0 for all. ``patience``: seconds of silence of one
    node after which the job waits. ``datacenters``: the backup's name of a datacenter → the target's. ``mode``: of a backup;
    None for what each node is set to.
    """

    job: JobId
    kind: Kind
    backup: Name
    by: Said
    created: Moment
    assignments: tuple[Assignment, ...] = Field(min_length=1)
    method: Method = "replace"
    parallel: int = Field(default=0, ge=0)
    patience: float = Field(default=PATIENCE, gt=0, le=MOST_PATIENCE)
    keyspaces: tuple[Keyspace, ...] = ()
    tables: tuple[Table, ...] = ()
    keep_auth: bool = False
    verify: bool = True
    stop_first: bool = False
    accept_incomplete: bool = False
    datacenters: dict[Datacenter, Datacenter] = Field(default_factory=dict)
    mode: Mode | None = None

    @model_validator(mode="after")
    def _makes_sense(self) -> Request:
        if not self.job.startswith(f"{self.kind}-"):
            raise ValueError(f"its id is not that of a {self.kind}")
        if len({each.target for each in self.assignments}) != len(self.assignments):
            raise ValueError("a node stands in two assignments")
        if self.kind == "backup":
            return self
        sources = [source for each in self.assignments for source in each.sources]
        if len(set(sources)) != len(sources):
            raise ValueError("the backup of one node goes to two")
        if not sources:
            raise ValueError("there is nothing to restore")
        if self.method == "replace":
            if any(len(each.sources) != 1 for each in self.assignments):
                raise ValueError("each node takes the place of exactly one")
            if not any(each.seed for each in self.assignments):
                raise ValueError("no node is a seed: the others could not start")
        return self

    @property
    def by_target(self) -> dict[str, Assignment]:
        """The assignments by node."""
        return {each.target: each for each in self.assignments}

    @property
    def seeds(self) -> frozenset[str]:
        """The nodes that start before the others."""
        return frozenset(each.target for each in self.assignments if each.seed)


class Wish(Own):
    """``index/jobs/requests/<job>/wishes/<id>.json``: what an operator wants of a job that is under way. Obeyed once.

    ``without``: nodes that are gone for good, to be given up.
    """

    job: JobId
    id: Segment
    wish: WishKind
    by: Said
    created: Moment
    without: tuple[Segment, ...] = ()


class NodeState(Own):
    """``index/jobs/nodes/F/<job>/<number>-<seq>.json``: what a node did of a command. ``seq`` counts its states, from 1.

    ``code``: of a refusal, as in ``obedience.Verdict``. ``bytes`` of ``of`` are done; both 0 where that says nothing.
    ``at``: by the node's clock, for people.
    """

    node: str
    job: str
    epoch: int = Field(ge=1)
    number: int = Field(ge=1)
    seq: int = Field(ge=1)
    verb: Verb
    outcome: Outcome
    code: Said = ""
    why: Said = ""
    hint: Said = ""
    step: Said = ""
    bytes: int = Field(default=0, ge=0, le=_MOST)
    of: int = Field(default=0, ge=0, le=_MOST)
    at: float
    boot_id: Said = ""


class NodeJob(Value):
    """A node's part in a job: the command that it was given last, and what is known of it.

    ``outcome`` is None until it was heard of. ``seq``: the last of its states that was read; ``heard``: when that was.
    ``stopped``: it was told to stop at some time. ``known``: it has answered anything in this job, ever.
    """

    number: int = 0
    epoch: int = 0
    verb: Verb | None = None
    issued: float = 0.0
    expires: float = 0.0
    outcome: Outcome | None = None
    code: str = ""
    why: str = ""
    hint: str = ""
    step: str = ""
    seq: int = 0
    heard: float = 0.0
    bytes: int = 0
    of: int = 0
    stopped: bool = False
    known: bool = False


class Wait(Value):
    """For what a job waits; ``node`` is empty where it is no node."""

    node: str = ""
    why: str
    hint: str = ""


class ObeyedWish(Value):
    """A wish that was looked at, and what came of it."""

    id: str
    wish: WishKind
    by: str
    at: float
    came: str


class GivenUp(Value):
    """A node that an operator has given up: the job went on without it from ``phase`` on. It is told nothing that starts it."""

    node: str
    by: str
    at: float
    phase: Phase


class Job(Own):
    """``index/jobs/records/<job>.json``: where a job stands. Written by the coordinator only, by compare-and-swap.

    ``decision``: from ``commit`` on nothing is rolled back, from ``rollback`` on nothing is committed. ``since``: when the
    phase began. ``why``: what made it go back, or end as it did. ``waiting``: why it does not go on; empty while it does.
    ``holds``: so many holds were put on the backup for it, of which the last one ends at ``held_until``.
    ``given_up``: the nodes that it goes on, or has ended, without; none ever leaves it.
    """

    revision: str
    job: str
    kind: Kind
    backup: str
    method: Method = "replace"
    epoch: int = Field(default=1, ge=1)
    phase: Phase
    decision: Literal["commit", "rollback"] | None = None
    created: float
    since: float
    finished: float | None = None
    why: str = ""
    waiting: tuple[Wait, ...] = ()
    holds: int = 0
    held_until: float = 0.0
    nodes: dict[str, NodeJob] = Field(default_factory=dict)
    wishes: tuple[ObeyedWish, ...] = ()
    given_up: tuple[GivenUp, ...] = ()

    @property
    def without(self) -> frozenset[str]:
        """The names of the nodes that were given up."""
        return frozenset(each.node for each in self.given_up)

    @property
    def is_over(self) -> bool:
        """Whether nothing follows."""
        return self.phase in OVER


class JobTurn(Own):
    """``index/jobs/turn.json``: the one job that is being coordinated; the next one's turn comes when it is over."""

    revision: str
    job: str
