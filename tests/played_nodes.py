"""Nodes that a test plays: each reads its command, believes what the public keys say, and answers what the test wants."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from backupstore.core.commands import Check, Command, Payload, verified
from backupstore.core.documents import encode
from backupstore.core.job_documents import Assignment, Job, Kind, NodeState, Outcome, Request, Wish, WishKind
from backupstore.core.job_ids import job_id
from backupstore.core.layout import Layout
from backupstore.core.obedience import Here, Seen, accept, answered, obeyed, with_seq
from backupstore.errors import Conflict
from backupstore.operations.documents import read_own
from backupstore.operations.job_store import read_job
from backupstore.ports import ObjectStore
from backupstore.signing import Ed25519Signer, public_keys_of, signer_of, write_pair

NODES = ("n1", "n2", "n3")
Answer = Callable[[Payload], Outcome | None]


@dataclass(frozen=True)
class Pair:
    """The two files of ``generate-keys``."""

    private: Path
    public: Path

    @property
    def line(self) -> str:
        """The private key as it stands in a secret store."""
        return self.private.read_text(encoding="ascii").strip()

    @property
    def secret(self) -> str:
        """What nobody may ever read anywhere."""
        return self.line.split()[1]

    @property
    def signer(self) -> Ed25519Signer:
        return signer_of(self.line, str(self.private))

    @property
    def keys(self) -> dict[str, Check]:
        """As nodes have them."""
        return public_keys_of(self.public.read_text(encoding="ascii"), str(self.public))


def pair(folder: Path) -> Pair:
    folder.mkdir(parents=True)
    return Pair(*write_pair(folder))


@dataclass
class PlayedNode:
    """Decides by the real rules. ``answers``: what it says of a verb instead of ``done``; None: nothing yet.

    ``answer`` says the same where it takes more than the verb. ``did``: the verbs that it carried out, with their epochs;
    ``refusals``: the codes of what it refused.
    """

    store: ObjectStore
    layout: Layout
    name: str
    keys: Mapping[str, Check]
    answers: dict[str, Outcome | None] = field(default_factory=dict)
    answer: Answer | None = None
    seen: Seen = field(default_factory=Seen)
    did: list[tuple[str, int]] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)

    @property
    def obeyed(self) -> list[str]:
        return [verb for verb, _ in self.did]

    def command(self) -> Payload | None:
        """What it is told, once the signature was checked; None where it is told nothing."""
        key = self.layout.command(self.name)
        document = read_own(self.store, Command, key)
        return verified(document, self.keys, key) if document else None

    def turn(self) -> bool:
        """A look, now."""
        return self.look(time.time())

    def look(self, now: float) -> bool:
        """Obey or refuse what there is; whether anything was said of it."""
        payload = self.command()
        if payload is None:
            return False
        verdict = accept(payload, self.seen, Here(self.layout.prefix, self.name, None), now)
        if verdict.kind == "answered" or (verdict.kind == "refuse" and payload.text == self.seen.refused):
            return False
        if verdict.kind == "refuse":
            self.seen = self.seen.model_copy(update={"refused": payload.text})
            self.refusals.append(verdict.code)
            self._say(payload, "refused", now, verdict.code)
            return True
        self.seen = obeyed(self.seen, payload)
        outcome = self.answer(payload) if self.answer else self.answers.get(payload.verb, "done")
        if outcome is None:
            return False
        self.did.append((payload.verb, payload.epoch))
        self._say(payload, outcome, now)
        if outcome != "doing":
            self.seen = answered(self.seen, payload)
        return True

    def _say(self, payload: Payload, outcome: Outcome, now: float, code: str = "") -> None:
        """Write a state, and remember its number. One that is taken is that of a state which was forgotten."""
        for seq in count(self.seen.of(payload.job).seq + 1):
            with suppress(Conflict):
                self._write(payload, outcome, seq, now, code)
                self.seen = with_seq(self.seen, payload.job, seq)
                return

    def _write(self, payload: Payload, outcome: Outcome, seq: int, now: float, code: str) -> None:
        state = NodeState(
            node=self.name,
            job=payload.job,
            epoch=payload.epoch,
            number=payload.number,
            seq=seq,
            verb=payload.verb,
            outcome=outcome,
            code=code,
            why="as the test wants it" if outcome == "failed" else "",
            at=now,
        )
        self.store.create(self.layout.job_state(payload.job, self.name, payload.number, seq), encode(state))


@dataclass(frozen=True)
class PlayedCluster:
    """A cluster that believes a key; ``store`` is what everybody in it may use."""

    store: ObjectStore
    layout: Layout
    nodes: tuple[PlayedNode, ...]

    def ask(self, kind: Kind = "restore", number: int = 1) -> str:
        """A job for all nodes, the first of which is the seed; its id."""
        now = time.time()
        each = [
            Assignment(target=node.name, sources=() if kind == "backup" else (node.name,), seed=not place)
            for place, node in enumerate(self.nodes)
        ]
        job = job_id(kind, now, f"{number:08x}")
        asked = Request(job=job, kind=kind, backup="b1", by="test", created=now, assignments=tuple(each))
        self.store.create(self.layout.job_request(job), encode(asked))
        return job

    def wish(self, job: str, wish: WishKind, name: str = "") -> None:
        name = name or wish
        told = Wish(job=job, id=name, wish=wish, by="test", created=time.time())
        self.store.create(self.layout.job_wish(job, name), encode(told))

    def turn(self) -> bool:
        """Let each node obey; whether any of them had something to do."""
        obeyed = [node.turn() for node in self.nodes]
        return any(obeyed)

    def job(self, name: str) -> Job | None:
        """Where it stands; None before a coordinator saw it."""
        found = read_job(self.store, self.layout, name)
        return found.job if found else None

    def phase(self, name: str) -> str:
        found = self.job(name)
        return found.phase if found else ""

    @property
    def obeyed(self) -> list[list[str]]:
        return [node.obeyed for node in self.nodes]


def cluster(store: ObjectStore, prefix: str, keys: Mapping[str, Check]) -> PlayedCluster:
    layout = Layout(prefix)
    return PlayedCluster(store, layout, tuple(PlayedNode(store, layout, name, keys) for name in NODES))


SEED = ["prepare", "stop", "place", "start", "check", "commit"]
"""What a node is told in a restore that goes well."""
