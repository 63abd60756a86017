"""``serve`` verifies by itself: what becomes complete at once, and all of it from time to time."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from backupstore.core.documents import Head, Level
from backupstore.core.events import CLUSTER, Subject
from backupstore.core.layout import Layout
from backupstore.errors import Denied, Retryable
from backupstore.operations.findings import read_findings, read_verified
from backupstore.operations.index import index
from backupstore.operations.reading import read_head
from backupstore.operations.reconcile import reconcile
from backupstore.ports import ObjectStore, StoredObject
from shipper.verifier import Verifier
from tests.interleaving import Around
from tests.operations.ring import LocalRing, Ring
from tests.shipper.cli.program import Program, until

DAY = 86_400.0


@dataclass
class HandClock:
    """Goes on when it is told to."""

    at: float = 1_800_000_000.0

    def now(self) -> float:
        return self.at

    def running(self) -> float:
        return self.at

    def boot_id(self) -> str:
        return "boot"

    def sleep(self, seconds: float) -> None:
        self.at += seconds


@dataclass
class Watch:
    """A ring with a catalog, and a verifier over it."""

    ring: Ring = field(default_factory=Ring)
    clock: HandClock = field(default_factory=HandClock)
    share: float = 0.5

    def verifier(self, store: ObjectStore | None = None) -> Verifier:
        return Verifier(store or self.ring.store, self.clock, lambda: "r", DAY, self.share, 50 << 20)

    def head(self) -> Head:
        reconcile(self.ring.store, self.ring.layout, now=self.clock.at, revision=lambda: "r")
        head = read_head(self.ring.store, self.ring.layout)
        assert head is not None
        return head

    def go(self, verifier: Verifier) -> set[Subject]:
        """What is due is done and indexed; which it was."""
        verifier.look("p", self.head())
        verifier.work()
        done = verifier.put_down()
        assert not index(self.ring.store, done, now=self.clock.at, revision=lambda: "r").failed
        return done

    def verified(self, name: str) -> dict[str, float]:
        return {each.level: each.at for each in read_verified(self.ring.store, self.ring.layout, name)}


@pytest.fixture
def watch() -> Watch:
    made = Watch()
    made.ring.back_up("b1")
    return made


def test_what_is_complete_is_verified_once(watch: Watch) -> None:
    watch.ring.back_up("b2", nodes=("n1", "n2"))
    verifier = watch.verifier()
    assert watch.go(verifier) == {Subject("p", CLUSTER, "b1")}
    assert set(watch.verified("b1")) == {"listing", "content"}
    assert watch.verified("b2") == {}
    assert watch.head().backups[0].verified is not None
    assert watch.go(verifier) == set()
    assert watch.go(watch.verifier()) == set(), "another process, or this one after a restart"
    watch.ring.begin("n3", "b2")
    watch.ring.finish("n3", "b2")
    assert watch.go(verifier) == {Subject("p", CLUSTER, "b2")}


def test_after_a_day_all_is_verified_again_and_another_part_is_read(watch: Watch) -> None:
    watch.ring.back_up("b2")
    verifier = watch.verifier()
    watch.go(verifier)
    subsets = []
    for _ in range(2):
        found = read_findings(watch.ring.store, watch.ring.layout, "b2", "content")
        assert found is not None
        subsets.append(found.subset)
        before = watch.clock.at
        watch.clock.at += DAY
        watch.go(verifier)
        assert {watch.verified(name)["structure"] for name in ("b1", "b2")} == {before + DAY}
        assert "content" not in watch.verified("b1")
    assert sorted(map(str, subsets)) == ["1/2", "2/2"]


def test_findings_about_backups_that_are_gone_are_swept(watch: Watch) -> None:
    gone = watch.ring.layout.finding("gone", "listing")
    watch.ring.store.put(gone, b"{}")
    verifier = watch.verifier()
    watch.go(verifier)
    watch.clock.at += DAY
    watch.go(verifier)
    assert gone not in {each.key for each in watch.ring.store.list(watch.ring.layout.all_findings())}
    assert watch.verified("b1")


def test_without_a_share_no_data_is_read(watch: Watch) -> None:
    watch.share = 0.0
    watch.go(watch.verifier())
    assert set(watch.verified("b1")) == {"listing"}


def test_what_a_level_found_bad_is_not_asked_for_again_and_again(watch: Watch) -> None:
    watch.ring.store.delete([watch.ring.key("n1", "nb-1-big-Data.db")])
    verifier = watch.verifier()
    watch.go(verifier)
    verified = watch.head().backups[0].verified
    assert verified is not None
    assert not verified.ok
    assert watch.go(verifier) == set()


@pytest.mark.parametrize(("error", "again"), [(Retryable("not now"), True), (Denied("never"), False)])
def test_trouble_is_told_and_never_ends_it(
    watch: Watch, caplog: pytest.LogCaptureFixture, error: Exception, *, again: bool
) -> None:
    @dataclass
    class Closed(Around):
        open: bool = False

        def __init__(self, store: ObjectStore) -> None:
            super().__init__(store)
            self.open = False

        def put(self, key: str, body: bytes) -> StoredObject:
            if not self.open:
                raise error
            return super().put(key, body)

    store = Closed(watch.ring.store)
    verifier = watch.verifier(store)
    assert watch.go(verifier) == set()
    assert "verify of b1" in caplog.text
    store.open = True
    assert bool(watch.go(verifier)) == again


def test_what_was_seen_of_a_bucket_that_went_away_is_not_put_down(watch: Watch) -> None:
    verifier = watch.verifier()
    verifier.look("p", watch.head())
    verifier.work()
    verifier.forget()
    assert verifier.put_down() == set()
    assert watch.verified("b1") == {}
    assert watch.go(verifier) == {Subject("p", CLUSTER, "b1")}, "it is looked at again"


def findings(program: Program, level: Level) -> dict[str, Any]:
    return dict(json.loads((program.bucket / Layout().finding("b1", level)).read_bytes()))


def test_a_running_server_verifies_what_becomes_complete(tmp_path: Path) -> None:
    program = Program(tmp_path, shipper=("reconcile_interval = 3600",))
    program.bucket.mkdir()
    ring = LocalRing(program.bucket)
    with program.running("serve") as server:
        ring.back_up("b1")
        # Events of a local disk tell of announcements and of what lies in a meta folder.
        until(lambda: program.store.exists() and bool(_verified(program)), 60, server.log.read_text)
        until((program.bucket / Layout().finding("b1", "content")).exists, 60, server.log.read_text)
        server.process.terminate()
        assert server.process.wait(30) == 0
    assert findings(program, "listing")["ok"] is True
    assert findings(program, "content")["subset"].endswith("/100")


def _verified(program: Program) -> list[object]:
    head = program.bucket / Layout().head()
    lines = json.loads(head.read_bytes())["backups"] if head.exists() else []
    return [line["verified"] for line in lines if line.get("verified")]
