"""Our own small documents as frozen values, and their bytes. Fields are fixed in ``docs/bucket-format.md``.

Unknown fields survive a round trip; a higher ``format`` is refused rather than misread. The manifest is not here: it may
hold a million entries and is streamed by ``core.manifest``.
"""

from __future__ import annotations

import json
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from backupstore.core.shown import one_line
from backupstore.errors import Corrupt

FORMAT: Literal[1] = 1
Mode = Literal["full", "differential"]
State = Literal["complete", "incomplete", "partial", "corrupt"]
Level = Literal["listing", "structure", "content"]


class Value(BaseModel):
    """A frozen value that keeps what it does not know. Its numbers are such that one can reckon with them."""

    model_config = ConfigDict(frozen=True, extra="allow", strict=True, allow_inf_nan=False)


class Own(Value):
    """A document of ours; ``format`` is its version."""

    format: Literal[1] = FORMAT


class RingNode(Value):
    """One node of the ring as an attempt saw it."""

    name: str
    host_id: str
    dc: str = ""
    rack: str = ""


class Attempt(Own):
    """``meta/attempt-<n>.json``."""

    attempt: int = Field(ge=1)
    node: str
    backup: str
    host_id: str
    cluster: str
    boot_id: str
    begun: float
    mode: Mode
    keyspaces: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    ring: tuple[RingNode, ...] = ()
    release_version: str
    shipper_version: str
    snapshot: str
    condemned_seen: tuple[str, ...] = ()
    cached_mount: bool = False

    @property
    def partial(self) -> bool:
        """Whether filters were given, so that this is not the whole node."""
        return bool(self.keyspaces or self.tables)


class Abandoned(Own):
    """``meta/abandoned``."""

    node: str
    backup: str
    by: str
    at: float


class CorruptFile(Value):
    """One bad component, as announced."""

    path: str
    why: str


class Damaged(Own):
    """``meta/damaged``: so many components of a finished backup were overwritten or deleted since; of very many not all."""

    node: str
    backup: str
    by: str
    at: float
    count: int = Field(ge=1)
    files: tuple[CorruptFile, ...] = ()


class Announcement(Own):
    """``index/announced/…``."""

    attempt: int
    at: float
    files: tuple[CorruptFile, ...] = ()


class Hold(Own):
    """``index/holds/N/<id>.json``."""

    backup: str
    id: str
    by: str
    why: str
    created: float
    expires: float | None = None


class Condemned(Own):
    """``index/condemned/F/<run>-<random>.json``. ``rests``: those of ``backups`` that had lost their intent already."""

    revision: str
    run: str
    node: str
    created: float
    backups: tuple[str, ...] = ()
    rests: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()


class Found(Value):
    """One thing that verify found; ``node`` and ``path`` are empty where it concerns more than one."""

    kind: str
    why: str
    node: str = ""
    path: str = ""


class Findings(Own):
    """``index/findings/N/<level>.json``: what the last verification on a level came to."""

    revision: str
    backup: str
    level: Level
    at: float
    ok: bool
    nodes: int
    objects: int
    size: int
    read: int = 0
    by_size: int = 0
    subset: str | None = None
    counts: dict[str, int] = Field(default_factory=dict)
    findings: tuple[Found, ...] = ()


class Verification(Value):
    """When a cluster backup was last verified on a level, and whether all was good. ``subset`` as in ``Findings``.

    ``harm``: whether something is known to be missing or wrong; not all that is not good is, and none that is good.
    """

    at: float
    level: str
    ok: bool
    harm: bool = False
    subset: str | None = None


class Place(Value):
    """Where a node of a tokenmap stands; ``tokens`` is their number."""

    dc: str = ""
    rack: str = ""
    tokens: int = 0


class NodeFact(Value):
    """What ``P F/N/meta/`` says about one node backup."""

    started: float
    finished: float | None = None
    abandoned: bool = False
    writer: Literal["shipper", "stock"]
    mode: Mode
    partial: bool = False
    attempts: int = 0
    host_id: str | None = None
    size: int = 0
    objects: int = 0
    corrupt: int = 0
    problem: str | None = None
    server_type: str = "cassandra"
    release_version: str = "unknown"
    ring: str | None = None
    seen: str


class ClusterBackup(Own):
    """``index/catalog/backups/N.json``."""

    revision: str
    name: str
    nodes: dict[str, NodeFact] = Field(default_factory=dict)
    rings: dict[str, dict[str, Place]] = Field(default_factory=dict)
    verified: tuple[Verification, ...] = ()


class Line(Value):
    """One cluster backup in the head."""

    name: str
    started: float
    finished: float | None = None
    state: State
    mode: Mode
    size: int
    objects: int
    expected: int
    completed: int
    incomplete: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    roster: int
    corrupt: int = 0
    verified: Verification | None = None
    levels: tuple[Verification, ...] = ()


class Latest(Value):
    """The backup of one node that finished last."""

    name: str
    finished: float


class Head(Own):
    """``index/catalog/head.json``."""

    revision: str
    checked: float
    looked: float = 0.0
    repaired: int = 0
    rosters: tuple[tuple[str, ...], ...] = ()
    backups: tuple[Line, ...] = ()
    latest: dict[str, Latest] = Field(default_factory=dict)


D = TypeVar("D", bound=Own)


def encode(document: Own) -> bytes:
    """The document as it is stored: compact JSON, keys in the order of the model, ASCII only."""
    return json.dumps(document.model_dump(mode="json"), separators=(",", ":"), ensure_ascii=True).encode("ascii")


def decode(kind: type[D], body: bytes, key: str) -> D:
    """Parse a document. Corrupt, naming the key, when it is not one or is of a newer format."""
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        # Names in it are the document's own, and anybody's.
        where = one_line(".".join(str(part) for part in first["loc"])) or "document"
        hint = (
            "It was written by a newer medusa-shipper: upgrade this one."
            if first["loc"] == ("format",)
            else "Restore it from the bucket's history, or delete it and run build-index if it lies under index/catalog."
        )
        raise Corrupt(f"{key} cannot be read: {where}: {first['msg']}", hint=hint, operation="read", key=key) from error
