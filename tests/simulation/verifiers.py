"""Verifiers. What one of them calls good must have been whole, and have been looked at.

Exactly: of a cluster backup that was put down as good, no object that a manifest named from the beginning to the end of
the verification was absent, or had other content, all that time; no node of its ring was without a finished backup all
that time; and no call that was made to look failed.
"""

from __future__ import annotations

from backupstore.core.writers import Principal
from backupstore.errors import BackupError
from backupstore.operations import verify as real
from backupstore.operations.findings import write_findings
from backupstore.operations.verify import Verified
from backupstore.operations.verify_node import Wanted
from tests.simulation.bucket import NodeBackup, Violation, WatchedBucket
from tests.simulation.world import LAYOUT, Crash, Machine, ProcessStore, World

Wrongs = dict[NodeBackup, frozenset[str]]
_ABSENT = frozenset({"all of it"})


def verifier(world: World, *, rounds: int) -> None:
    """Looks at some backups, and writes down what it found."""
    random, clock = world.random, Machine(world)
    for _ in range(rounds):
        world.wait(random.choice((0, 20, 100)))
        crashes, faults = random.choice((0.0, 0.01)), random.choice((0.0, 0.03))
        store = ProcessStore.open(world, Principal.VERIFY, crashes=crashes, faults=faults)
        names = sorted({name for _, name in world.bucket.counting()})
        some = random.sample(names, min(len(names), random.choice((1, 1, 2))))
        try:
            _look(world, store, some, clock)
        except Crash:
            world.tell("verifier crashed")
        except BackupError as error:
            world.tell(f"verify: {type(error).__name__}")


def _look(world: World, store: ProcessStore, names: list[str], clock: Machine) -> None:
    wanted = Wanted(checksums=world.random.random() < 0.3)
    watch = _Watch(world.bucket, names)
    for verified in real.verify(store, LAYOUT, names, wanted):
        watch.check(verified, store.failed if len(names) == 1 else 0)
        write_findings(store, LAYOUT, verified.findings(now=clock.now(), revision=world.revision()))
        world.tell("found good" if verified.tally.ok else "found bad")


class _Watch:
    """What is wrong from the beginning of a verification on."""

    def __init__(self, bucket: WatchedBucket, names: list[str]) -> None:
        self._bucket = bucket
        self._changes = dict(bucket.changes)
        self._before = {name: self._wrong(name) for name in names}

    def check(self, verified: Verified, failed: int) -> None:
        """Violation when it is told as good and is not."""
        if not verified.tally.ok:
            return
        name = verified.document.name
        if failed:
            raise Violation(f"{name} is called good, and {failed} calls to look at it had failed")
        after, changes = self._wrong(name), self._bucket.changes
        for of, keys in self._before[name].items():
            for key in keys & after.get(of, frozenset()):
                if changes.get(key) == self._changes.get(key):
                    raise Violation(f"{name} is called good, and {key} of {of[0]} was wrong all the time")

    def _wrong(self, name: str) -> Wrongs:
        bucket, found = self._bucket, {}
        for node in bucket.expected(name):
            manifest = LAYOUT.meta(node, name, "manifest.json")
            found[node, name] = bucket.wrong_in(node, name) if bucket.counts(node, name) else frozenset({manifest})
        return found
