"""One sound document of each kind that cluster jobs have, with everything in it."""

from __future__ import annotations

from backupstore.core.commands import Payload, PrepareArguments, signed
from backupstore.core.documents import Own, encode
from backupstore.core.job_documents import (
    Assignment,
    GivenUp,
    Job,
    JobTurn,
    NodeJob,
    NodeState,
    ObeyedWish,
    Request,
    Wait,
    Wish,
)
from backupstore.core.obedience import JobSeen, Seen

JOB = "restore-20261123134500-0a1b2c3d"
_NOW = 1795370000.5

REQUEST = Request(
    job=JOB,
    kind="restore",
    backup="b",
    by="me",
    created=_NOW,
    assignments=(
        Assignment(target="n1", sources=("old1",), seed=True, remote=True, size=4711),
        Assignment(target="n2", sources=("old2",)),
    ),
    parallel=2,
    keyspaces=("shop",),
    tables=("shop.orders",),
    keep_auth=True,
    datacenters={"dc1": "dc2"},
    mode="full",
)
PREPARE = Payload(
    prefix="p",
    node="n1",
    job=JOB,
    epoch=1,
    number=2,
    verb="prepare",
    arguments=PrepareArguments(backup="b", sources=("old1",), remote=True, targets=("n1", "n2")),
    issued=_NOW,
    expires=_NOW + 900.0,
)
STOP = Payload(prefix="", node="n1", job=JOB, epoch=1, number=3, verb="stop", issued=_NOW, expires=_NOW + 900.0)
PART = NodeJob(
    number=2,
    epoch=1,
    verb="prepare",
    issued=_NOW,
    expires=_NOW + 900.0,
    outcome="failed",
    why="no space",
    hint="make some",
    step="fetching",
    seq=3,
    heard=_NOW,
    bytes=1,
    of=2,
    known=True,
)
DOCUMENTS: tuple[Own, ...] = (
    REQUEST,
    Wish(job=JOB, id="w", wish="resume", by="me", created=_NOW, without=("n2",)),
    NodeState(
        node="n1",
        job=JOB,
        epoch=1,
        number=2,
        seq=3,
        verb="prepare",
        outcome="refused",
        code="expired",
        why="it had expired",
        hint="resume",
        step="reading",
        bytes=1,
        of=2,
        at=_NOW,
        boot_id="boot-1",
    ),
    Job(
        revision="r",
        job=JOB,
        kind="restore",
        backup="b",
        phase="rolling-back",
        decision="rollback",
        created=_NOW,
        since=_NOW,
        why="n1: prepare failed: no space",
        waiting=(Wait(node="n1", why="no answer", hint="look"),),
        nodes={"n1": PART},
        wishes=(ObeyedWish(id="w", wish="resume", by="me", at=_NOW, came="told again: n1"),),
        given_up=(GivenUp(node="n2", by="me", at=_NOW, phase="placing"),),
    ),
    JobTurn(revision="r", job=JOB),
    signed(PREPARE, "k1", lambda _: bytes(64)),
    Seen(jobs=(JobSeen(job=JOB, epoch=1, number=2, payload=PREPARE.text, closing="put-back", seq=3),), issued=_NOW),
)
BODIES: dict[type[Own], bytes] = {type(document): encode(document) for document in DOCUMENTS}
