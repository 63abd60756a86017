"""The loop of ``serve`` with a clock of our own, and a bucket that fails when it is told to."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import pytest

from backupstore.core.events import ObjectEvent
from backupstore.core.layout import Layout
from backupstore.errors import Denied, Retryable
from backupstore.ports import ObjectStore
from backupstore.stores.local import LocalStore
from shipper.serve import Server
from shipper.watching import EventsLost, is_remote
from shipper.wiring import sees_late
from tests.clocks import SettableClock
from tests.interleaving import Around
from tests.settings.shown import settings
from tests.shipper.cli.handmade import Made, Maker
from tests.shipper.cli.program import BUCKET, Program
from tests.shipper.serve.served import states


class Over(Exception):
    """The script has come to its end."""


@dataclass
class Script:
    """A watcher that is told what to say: each act is done before a wait, and its events are the answer."""

    clock: SettableClock
    acts: list[Callable[[], list[str]]]
    followed: list[str] = field(default_factory=list)

    def follow(self, prefixes: Iterable[str]) -> None:
        self.followed += prefixes

    def wait(self, seconds: float) -> list[ObjectEvent]:
        if not seconds:
            return []
        self.clock.advance(seconds)
        if not self.acts:
            raise Over
        return [ObjectEvent("created", key) for key in self.acts.pop(0)()]

    def close(self) -> None:
        """Nothing is held."""


class Failing(Around):
    """Fails as long as it is told to."""

    def __init__(self, store: ObjectStore) -> None:
        super().__init__(store)
        self.failing = False

    def before(self, call: str) -> None:
        if self.failing and call in {"create", "replace", "put"}:
            raise Retryable(f"{call}: no connection")


def nothing() -> list[str]:
    return []


def serve(store: ObjectStore, clock: SettableClock, acts: list[Callable[[], list[str]]]) -> None:
    revisions = count()
    server = Server(store, clock, lambda: f"r{next(revisions)}", 300.0)
    with pytest.raises(Over):
        server.run(Script(clock, acts))


@pytest.fixture
def bucket(tmp_path: Path) -> Path:
    path = tmp_path / BUCKET
    path.mkdir()
    return path


def test_it_sweeps_once_an_hour(bucket: Path) -> None:
    clock = SettableClock()
    left = bucket / "index/.incoming" / f"{'0' * 32}.part"
    found: list[bool] = []

    def leave() -> list[str]:
        left.parent.mkdir(parents=True, exist_ok=True)
        left.touch()
        os.utime(left, (1, 1))
        return []

    def look() -> list[str]:
        found.append(left.exists())
        clock.advance(1000)
        return []

    serve(LocalStore(bucket), clock, [leave, look, look, look, look, look, look])
    assert found == [True, True, True, True, False, False]


def test_what_fails_is_tried_again_before_the_next_reconcile(bucket: Path) -> None:
    clock, store = SettableClock(), Failing(LocalStore(bucket))
    maker = Maker(LocalStore(bucket), Layout())
    program = Program(bucket.parent)

    def ship() -> list[str]:
        store.failing = True
        maker.ship("b1")
        return [Layout().announced("n1", "b1", "finished")]

    def mend() -> list[str]:
        assert states(program) == {}
        store.failing = False
        return []

    serve(store, clock, [ship, mend, *[nothing] * 20])
    assert states(program) == {"b1": "complete"}


def test_a_signal_for_which_another_error_came_ends_it_all_the_same(bucket: Path) -> None:
    """The clock goes on for ever: nothing else ends this."""
    clock, has_come = SettableClock(), False

    class Interrupted(Around):
        def before(self, call: str) -> None:
            nonlocal has_come
            has_come = True
            raise Retryable(f"{call}: Bad file descriptor")

    def keep_on() -> None:
        if has_come:
            raise Over

    server = Server(Interrupted(LocalStore(bucket)), clock, lambda: "r", 300.0, keep_on=keep_on)
    with pytest.raises(Over):
        server.run(Script(clock, [nothing] * 1000))
    assert clock.running() < SettableClock().running() + 300


def test_events_that_were_lost_are_looked_for_at_once(bucket: Path) -> None:
    clock = SettableClock()

    def lose() -> list[str]:
        Maker(LocalStore(bucket), Layout("east")).ship("b1", Made(by_stock=True))
        raise EventsLost

    serve(LocalStore(bucket), clock, [lose, nothing])
    assert states(Program(bucket.parent), "east") == {"b1": "complete"}


def test_what_no_waiting_will_mend_is_raised_at_the_start(bucket: Path) -> None:
    class Forbidden(Around):
        def before(self, call: str) -> None:
            raise Denied(f"{call}: permission denied")

    clock = SettableClock()
    with pytest.raises(Denied):
        Server(Forbidden(LocalStore(bucket)), clock, str, 300.0).run(Script(clock, []))


@pytest.mark.parametrize(
    ("path", "remote"),
    [
        ("/mnt/backups/bucket", True),
        ("/mnt/backups elsewhere/bucket", False),
        ("/mnt/größe x/bucket", True),
        ("/mnt/disk/bucket", False),
        ("/mnt/s3/bucket", True),
        ("/mnt/over/bucket", True),
        ("/var", False),
    ],
)
def test_which_mounts_hide_what_others_write(tmp_path: Path, path: str, *, remote: bool) -> None:
    mounts = tmp_path / "mounts"
    lines = [
        "/dev/vda / ext4 rw 0 0",
        "server:/x /mnt/backups nfs4 rw 0 0",
        r"//server/x /mnt/größe\040x cifs rw 0 0",
        "/dev/vdb /mnt/disk xfs rw 0 0",
        "s3fs /mnt/s3 fuse.s3fs rw 0 0",
        "/dev/vdc /mnt/over ext4 rw 0 0",
        "server:/y /mnt/over nfs rw 0 0",
    ]
    mounts.write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert is_remote(Path(path), mounts) == remote


@pytest.mark.parametrize(
    ("line", "late"),
    [
        ("server:/x /mnt/b nfs4 rw,relatime,vers=4.2,hard,proto=tcp 0 0", True),
        ("server:/x /mnt/b nfs rw,hard,lookupcache=pos 0 0", True),
        ("server:/x /mnt/b nfs4 rw,hard,acregmin=3,acregmax=3,acdirmin=3,acdirmax=3 0 0", True),
        ("server:/x /mnt/b nfs4 rw,hard,lookupcache=none 0 0", False),
        ("server:/x /mnt/b nfs rw,sync,noac 0 0", False),
        ("server:/x /mnt/b nfs4 rw,hard,acregmin=0,acregmax=0,acdirmin=0,acdirmax=0 0 0", False),
        ("/dev/vdb /mnt/b xfs rw 0 0", False),
    ],
)
def test_which_mounts_show_late_what_others_write(tmp_path: Path, line: str, *, late: bool) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(f"/dev/vda / ext4 rw 0 0\n{line}\n", encoding="utf-8")
    local = settings(tmp_path, storage={"base_path": "/mnt/b"})
    assert sees_late(local, mounts) == late
    assert sees_late(local, tmp_path / "nobody tells")
    remote = settings(tmp_path, storage={"storage_provider": "s3", "base_path": "/mnt/b"})
    assert not sees_late(remote, mounts)
