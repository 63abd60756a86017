"""One sound document of each kind, with everything in it."""

from __future__ import annotations

from pathlib import Path

from backupstore.core.documents import (
    Abandoned,
    Announcement,
    Attempt,
    ClusterBackup,
    Condemned,
    CorruptFile,
    Damaged,
    Findings,
    Found,
    Head,
    Hold,
    Own,
    RingNode,
    decode,
    encode,
)
from backupstore.core.purge_records import (
    AcceptedRing,
    NodeAnswer,
    NodeResult,
    PlannedVerdict,
    PlannedWork,
    PurgeRecord,
)
from backupstore.core.verify_records import VerifyPart, VerifyRound

_GOLDEN = Path(__file__).parents[1] / "core" / "golden"
TABLE = "orders-" + "0a" * 16
DATA = f"p/n1/data/shop/{TABLE}/nb-1-big-Data.db"
_FILES = (CorruptFile(path=DATA, why="its CRC is another one"),)

ATTEMPT = Attempt(
    attempt=1,
    node="n1",
    backup="b",
    host_id="3f6c1c3e-0000-4000-8000-000000000001",
    cluster="shop",
    boot_id="boot-1",
    begun=1795370000.5,
    mode="differential",
    keyspaces=("shop",),
    tables=("shop.orders",),
    ring=(RingNode(name="n1", host_id="h1", dc="dc1", rack="r1"),),
    release_version="5.0.6",
    shipper_version="0.1.0",
    snapshot="medusa-shipper-b",
    condemned_seen=("r1-0a",),
)
DOCUMENTS: tuple[Own, ...] = (
    ATTEMPT,
    Abandoned(node="n1", backup="b", by="c", at=1795370000.5),
    Damaged(node="n1", backup="b", by="c", at=1795370000.5, count=2, files=_FILES),
    Announcement(attempt=1, at=1795370000.5, files=_FILES),
    Hold(backup="b", id="h", by="n1", why="restore-node", created=1795370000.5, expires=1795970000.5),
    Condemned(revision="r", run="1", node="n1", created=1795370000.5, backups=("b",), keys=(DATA,)),
    Findings(
        revision="r",
        backup="b",
        level="content",
        at=1795370000.5,
        ok=False,
        nodes=1,
        objects=2,
        size=3,
        read=3,
        by_size=1,
        subset="3/20",
        counts={"missing": 1},
        findings=(Found(kind="missing", why="it is not there", node="n1", path=DATA),),
    ),
    PurgeRecord(
        revision="r",
        run="20261123T021500Z-0a",
        created=1795370000.5,
        verdicts=(PlannedVerdict(name="b", delete=True, reason="older than 30 days"),),
        work=(PlannedWork(node="n1", backups=("b",)),),
        finished=1795370001.5,
        results=(NodeResult(node="n1", objects=3, bytes=4, done=False, notes=("held",), error="denied"),),
    ),
    NodeAnswer(revision="r", run="1", ended=True, result=NodeResult(node="n1", done=True)),
    VerifyRound(
        revision="r", round="1", created=1795370000.5, level="content", subset="3/20", backups={"b": {"n1": 2}}
    ),
    VerifyPart(
        revision="r",
        round="1",
        backup="b",
        node="n1",
        piece="1/2",
        finished=True,
        counts={"missing": 1},
        findings=(Found(kind="missing", why="it is not there", node="n1", path=DATA),),
    ),
    AcceptedRing(backup="b", started=1795370000.5, hosts={"dc1": ("h1",)}, by="me", created=1795370000.5),
    decode(ClusterBackup, (_GOLDEN / "backup-1.json").read_bytes(), "backup-1.json"),
    decode(Head, (_GOLDEN / "head-1.json").read_bytes(), "head-1.json"),
)
BODIES: dict[type[Own], bytes] = {type(document): encode(document) for document in DOCUMENTS}
