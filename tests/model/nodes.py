"""A node as the model sees it: what it obeys is decided by the real rule, what it does by what each verb is meant to do.

``data``: ``old``, ``aside`` (stopped, nothing in place), ``new``, ``kept`` (new, and the old is gone), or ``mixed`` from the
moment in which something begins to move it until that is over. A node that is killed in between stays like that, and goes
on. What was loaded counts as ``kept`` as well; ``indexed``: it has made what had to wait for that.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from backupstore.core.commands import Payload
from backupstore.core.job_documents import NodeState, Outcome, Verb
from backupstore.core.obedience import Here, JobSeen, Seen, Verdict, accept

PREFIX = "p"
PATIENCE = 900.0
MOVING = frozenset({"stop", "place", "put-back"})


class Order(NamedTuple):
    """A command as far as it matters here."""

    epoch: int
    number: int
    verb: Verb


class Said(NamedTuple):
    """A state that a node has written."""

    order: Order
    outcome: Outcome
    code: str = ""


class Node(NamedTuple):
    """``order`` is what it obeyed last, ``said`` what a coordinator sees of it, ``late`` what is seen at some later time.

    ``mail`` is its command as it lies in the bucket; ``expired``: nobody begins it any more.
    """

    data: str = "old"
    up: bool = True
    checked: bool = False
    indexed: bool = False
    order: Order | None = None
    busy: bool = False
    closing: str = ""
    dead: bool = False
    said: Said | None = None
    late: tuple[Said, ...] = ()
    mail: Order | None = None
    expired: bool = False
    refused: Order | None = None


def read_mail(node: Node, name: str, job: str) -> Node | None:
    """What becomes of a node that looks for commands; None when nothing does."""
    if node.dead or node.busy or node.mail is None or node.mail == node.refused:
        return None
    verdict = judge(job, node.mail, node.order, node.closing, name, expired=node.expired)
    if verdict.kind == "answered":
        return None
    if verdict.kind == "refuse":
        return node._replace(refused=node.mail, said=Said(node.mail, "refused", verdict.code))
    order = node.mail
    closing = order.verb if order.verb in {"commit", "put-back"} else node.closing
    node = node._replace(order=order, busy=True, closing=closing)
    if order.verb == "put-back" and node.data == "old":
        return node  # it was never stopped: there is only something to drop
    return node._replace(data="mixed", up=False) if order.verb in MOVING else node


def back(node: Node) -> Node:
    """It is there again, and goes on with what it was at, unless it was told something else meanwhile."""
    return node._replace(dead=False, busy=node.busy and node.mail == node.order)


def done(node: Node) -> Node:
    """The verb came to its end."""
    match node.order.verb if node.order else "":
        case "stop":
            node = node._replace(data="aside")
        case "place":
            node = node._replace(data="new")
        case "start":
            node = node._replace(up=True)
        case "check":
            node = node._replace(checked=True)
        case "commit" | "load":
            node = node._replace(data="kept")
        case "index":
            node = node._replace(indexed=True)
        case "put-back":
            node = node._replace(data="old", checked=False)
    return _answer(node, "done")


def failed(node: Node) -> Node:
    """The verb failed; what it moved stays as it is."""
    return _answer(node, "failed")


def by_itself(node: Node, name: str, job: str) -> Iterator[tuple[str, Node]]:
    """What may happen to a node without any bad luck."""
    if (obeyed := read_mail(node, name, job)) is not None:
        yield "reads", obeyed
    if node.busy and not node.dead:
        yield "is done", done(node)
    for said in node.late:
        rest = tuple(other for other in node.late if other != said)
        yield "is heard late", node._replace(said=said, late=rest)


def trouble(node: Node) -> Iterator[tuple[str, Node]]:
    """What may go wrong there."""
    if node.busy and not node.dead and node.order:
        yield "fails", failed(node)
        if node.said is None or node.said.order != node.order:
            yield "tells that it is at work", node._replace(said=Said(node.order, "doing"))
        for after in (done(node), failed(node)):
            if after.said:
                yield "is not heard yet", after._replace(said=node.said, late=(*node.late, after.said))
    if not node.dead:
        yield "dies", node._replace(dead=True)
    if node.late:
        yield "is never heard", node._replace(late=())


def begun(node: Node, after: Node) -> Order | None:
    """What a node has begun that was like the first and is like the second now."""
    begins = not node.busy or node.order != after.order or node.dead
    return after.order if after.busy and begins and not after.dead else None


def mailed(node: Node, order: Order) -> Node:
    """It was written to. A command is never written over by an earlier one."""
    there = node.mail
    if there is None or (there.epoch, there.number) < (order.epoch, order.number):
        return node._replace(mail=order, expired=False)
    return node


def _answer(node: Node, outcome: Outcome) -> Node:
    assert node.order is not None
    return node._replace(busy=False, said=Said(node.order, outcome))


@cache
def judge(  # noqa: PLR0913 # what is told, and what is known
    job: str, mail: Order, order: Order | None, closing: str, name: str, *, expired: bool
) -> Verdict:
    """The real rule. Nothing is read while something is carried out, so that what was obeyed last was answered."""
    seen = Seen()
    if order is not None:
        fields = {
            "epoch": order.epoch,
            "number": order.number,
            "payload": payload(job, order, name).text,
            "answered": True,
        }
        seen = seen.with_job(JobSeen.model_validate({"job": job, "closing": closing, **fields}))
    here = Here(prefix=PREFIX, node=name, restore=job if order else None)
    return accept(payload(job, mail, name), seen, here, now=PATIENCE if expired else 0.0)


@cache
def payload(job: str, order: Order, name: str) -> Payload:
    """The command in full."""
    arguments: dict[str, object] = {}
    if order.verb == "prepare":
        arguments = {"arguments": {"backup": "b", "sources": [name], "targets": [name]}}
    if order.verb in {"schema", "load", "index"}:
        arguments = {"arguments": {"backup": "b", "sources": [name]}}
    if order.verb == "backup":
        arguments = {"arguments": {"backup": "b"}}
    fields = {"prefix": PREFIX, "node": name, "job": job, "epoch": order.epoch, "number": order.number}
    return Payload.model_validate({**fields, "verb": order.verb, "issued": 0.0, "expires": PATIENCE, **arguments})


@cache
def state(job: str, said: Said, name: str) -> NodeState:
    """The state in full."""
    order = said.order
    return NodeState(
        node=name,
        job=job,
        epoch=order.epoch,
        number=order.number,
        seq=1,
        verb=order.verb,
        outcome=said.outcome,
        code=said.code,
        at=0.0,
    )
