"""One history: its bucket, its time, and the processes that work on it.

True time is moved by the world between the calls of the processes: by seconds as a rule, by days now and then, so that
whoever sleeps in a call wakes in another week. A request is not older than a day when it arrives; stores and proxies end
it before (a signature of S3 is good for 15 minutes). That is all that the protocol asks of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import count
from random import Random

from backupstore.core.layout import Layout
from backupstore.core.purge_records import PurgeRules
from backupstore.core.writers import Principal
from backupstore.errors import Retryable
from backupstore.ports import ObjectStore, StoredObject
from tests.interleaving import Around, Stepper
from tests.simulation.bucket import WatchedBucket

DAY = 86400.0
GRACE = 14 * DAY
ORPHANS = 10 * DAY
RULES = PurgeRules(grace=GRACE, orphan_grace=ORPHANS)
NODE = "n1"
LAYOUT = Layout("pfx")
REQUEST = DAY
"""So long may a request be on its way."""
SKEW = 2 * 3600.0
"""So far is the clock of a machine from the store's, either way."""
BEGINNING = 1_800_000_000.0
_LONG_NAPS = 0.4
_SLEEPY = 0.3
_JUMPS = (0.5 * DAY, 2 * DAY, 6 * DAY, 8 * DAY, 15 * DAY, 30 * DAY)


class Crash(BaseException):
    """The process is dead."""


class World:
    """Everything that the processes of one history share."""

    def __init__(self, seed: str, *, ring: Iterable[str] = (NODE,), longest_jump: float = 30 * DAY) -> None:
        self.random = Random(f"world {seed}")
        self.true_time = BEGINNING
        self.bucket = WatchedBucket(LAYOUT, self._tick, frozenset(ring))
        self.stepper = Stepper(seed, idle=self._idle)
        self.steps = 0
        self.sleepy = self.random.random() < _SLEEPY  # purges that often fall asleep on the way
        self.calm = False  # nothing goes wrong
        self.happened: dict[str, int] = {}
        self._jumps = tuple(jump for jump in _JUMPS if jump <= longest_jump)
        self._jumpiness = self.random.choice((0.0, 0.003, 0.01, 0.03)) if self._jumps else 0.0
        self._numbers = count(1)

    def _tick(self) -> float:
        """Each write has a time of its own."""
        self.true_time += 0.001
        return self.true_time

    def _idle(self) -> None:
        chance = self.random.random
        if chance() < self._jumpiness:
            self.jump()
        else:
            self.true_time += chance() * 60

    def jump(self) -> None:
        """Days pass."""
        if self._jumps:
            self.true_time += self.random.choice(self._jumps)

    def wait(self, calls: int) -> None:
        """Somebody lets others go on."""
        if calls:
            self.stepper.pause(calls)

    def nap(self) -> None:
        """Somebody sleeps while others go on; sometimes for weeks, while these have their own time before and after."""
        self.wait(self.random.choice((10, 50)))
        if self.random.random() < _LONG_NAPS:
            self.jump()
            self.tell("somebody slept for days" if self._jumps else "somebody slept")
        self.wait(self.random.choice((50, 200)))

    def number(self) -> int:
        """Another one each time."""
        return next(self._numbers)

    def revision(self) -> str:
        """What a program draws at random."""
        return f"r{self.number()}"

    def tell(self, what: str) -> None:
        """It happened, so that a test can see that histories are rich."""
        self.happened[what] = self.happened.get(what, 0) + 1


class Machine:
    """A clock as one machine has it: wrong by some hours, and running through suspend. ``ports.Clock``."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._skew = world.random.uniform(-SKEW, SKEW)
        self._boot = world.number()
        self._booted = world.true_time - world.random.uniform(0, 100 * DAY)

    def now(self) -> float:
        """UTC, epoch seconds."""
        return self._world.true_time + self._skew

    def running(self) -> float:
        """Seconds since boot."""
        return self._world.true_time - self._booted

    def boot_id(self) -> str:
        """Another one after each reboot."""
        return f"boot-{self._boot}"

    def reboot(self) -> None:
        """It starts anew."""
        self._boot = self._world.number()
        self._booted = self._world.true_time

    def sleep(self, seconds: float) -> None:
        """Nobody here sleeps of his own will."""
        raise AssertionError(seconds)


class ProcessStore(Around):
    """The bucket as one process has it: each call is a step, at which it may sleep, die, or lose an answer.

    ``principal`` None: the process is none of ours. ``failed``: how many calls it was told to have failed.
    """

    def __init__(self, world: World, store: ObjectStore, principal: Principal | None, **temper: float) -> None:
        super().__init__(store)
        self._world = world
        self._crashes = temper.get("crashes", 0.0)
        self._faults = temper.get("faults", 0.0)
        self._naps = temper.get("naps", 0.0) or world.random.choice((0.0, 0.005, 0.03))
        self._principal = principal
        self.failed = 0

    @classmethod
    def open(cls, world: World, principal: Principal | None, node: str = NODE, **temper: float) -> ProcessStore:
        """As that principal; ``None``: as somebody with all rights, who is none of ours."""
        return cls(world, world.bucket.open(principal, LAYOUT, node), principal, **temper)

    def before(self, call: str) -> None:
        world = self._world
        world.steps += 1
        sent = world.true_time
        world.stepper.step()
        chance = world.random.random
        if self._naps and chance() < self._naps:
            world.nap()
        if self._crashes and chance() < self._crashes:
            raise Crash
        if call not in _READS and world.true_time - sent > REQUEST:
            self._fail(f"{call}: the request was too long on its way")
        if self._faults and chance() < self._faults:
            self._fail(f"{call}: no connection")
        world.bucket.foreign = self._principal is None
        world.bucket.indexing = self._principal is Principal.INDEXER

    def after(self, call: str) -> None:
        if self._faults and self._world.random.random() < self._faults:
            self._fail(f"{call}: the answer was lost")

    def list(self, folder: str) -> Iterator[StoredObject]:
        self.before("list")
        return iter(tuple(self._store.list(folder)))

    def delete(self, keys: Iterable[str]) -> None:
        for key in keys:
            self.before("delete")
            self._store.delete([key])
        self.after("delete")

    def _fail(self, why: str) -> None:
        self.failed += 1
        raise Retryable(why)


_READS = frozenset({"read", "fetch", "head", "list", "entries"})
