"""A store that fails, that ignores its conditions, or in which another machine is faster."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from backupstore.errors import BackupError, Denied, NoSpace, NotFound, Refused, Retryable
from backupstore.ports import Source, StoredObject
from tests.recorded import NAME, SMALL
from tests.shipper.backup.world import World, Wrapped, elsewhere, new_world


class Failing(Wrapped):
    """From its n-th call on, every call of a kind fails."""

    def __init__(self, world: World, verb: str, number: int, error: BackupError) -> None:
        super().__init__(world.store)
        self._verb, self._left, self._error = verb, number, error

    def _ask(self, verb: str) -> None:
        if verb == self._verb:
            self._left -= 1
            if self._left <= 0:
                raise self._error

    def create(self, key: str, body: bytes) -> StoredObject:
        self._ask("create")
        return self.store.create(key, body)

    def upload(self, key: str, source: Source) -> StoredObject:
        self._ask("upload")
        return self.store.upload(key, source)

    def list(self, folder: str) -> Iterator[StoredObject]:
        self._ask("list")
        return self.store.list(folder)


ERRORS = [Denied("no", hint="ask"), NoSpace("full", hint="free"), Retryable("timeout"), NotFound("no bucket")]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize(
    ("verb", "number"),
    [
        *(("create", n) for n in (1, 2, 3, 7, 9)),
        *(("upload", n) for n in (1, 40, 84)),
        *(("list", n) for n in (1, 3, 5)),
    ],
)
def test_a_store_that_fails_is_an_error_and_the_same_command_goes_on(
    memory_world: World, verb: str, number: int, error: BackupError
) -> None:
    world = memory_world
    with pytest.raises(type(error)):
        elsewhere(world, store=Failing(world, verb, number, error)).back_up()
    assert "finished" not in world.announced("monday")
    contents = world.node.contents()
    world.back_up()
    world.check_backup("monday", contents)
    world.check_tidy()


def test_a_store_that_ignores_conditions_is_noticed_and_told_each_time(memory_world: World) -> None:
    world = memory_world

    class Careless(Wrapped):
        def create(self, key: str, body: bytes) -> StoredObject:
            return world.owner.put(key, body)

    careless = elsewhere(world, store=Careless(world.store))
    for name in ("monday", "tuesday"):
        careless.listener.warnings.clear()
        careless.back_up(name)
        assert any("ignores conditional writes" in warning for warning in careless.listener.warnings)
        world.check_backup(name, world.node.contents())
    world.listener.warnings.clear()
    world.back_up("wednesday")
    assert world.listener.warnings == []


def test_conditions_are_asked_for_once_for_each_bucket(memory_world: World) -> None:
    world = memory_world
    creates: list[str] = []

    class Counting(Wrapped):
        def create(self, key: str, body: bytes) -> StoredObject:
            creates.append(key)
            return self.store.create(key, body)

    counting = elsewhere(world, store=Counting(world.store))
    for name, expected in (("monday", 2), ("tuesday", 1)):
        counting.back_up(name)
        assert creates.count(world.layout.announced(NAME, name, "started")) == expected
    elsewhere(counting, name_of_bucket="another").back_up("wednesday")
    assert creates.count(world.layout.announced(NAME, "wednesday", "started")) == 2


def test_another_shipper_that_is_faster_wins(memory_world: World) -> None:
    world = memory_world

    class Racing(Wrapped):
        """The other machine writes just before us, each time."""

        def create(self, key: str, body: bytes) -> StoredObject:
            if key.endswith(("schema.cql", "attempt-1.json")) and not world.has(key):
                world.owner.put(key, body.replace(b"boot-1", b"boot-9").replace(b"CREATE", self.theirs))
            return self.store.create(key, body)

        theirs = b"CREATE"

    racing = Racing(world.store)
    with pytest.raises(Refused, match="just begun attempt 1"):
        elsewhere(world, store=racing).back_up("monday")
    racing.theirs = b"DIFFERENT"
    with pytest.raises(Refused, match="has just begun tuesday"):
        elsewhere(world, store=racing).back_up("tuesday")


def test_a_world_of_one_disk_without_prefix_works_as_well(tmp_path: Path) -> None:
    world = new_world(tmp_path, prefix="", disks=1, tables=SMALL)
    world.back_up()
    world.check_backup("monday", world.node.contents())
