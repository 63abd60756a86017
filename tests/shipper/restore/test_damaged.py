"""Objects that are not what was backed up, and connections and disks that give up while they are fetched."""

from __future__ import annotations

import base64
import hashlib
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from backupstore.errors import BackupError, Corrupt, NoSpace, Retryable
from backupstore.ports import ObjectStore, Sink, StoredObject
from tests.killing import Trigger
from tests.shipper.restore.manifests import a_file, manifest_of, put_manifest, untouched
from tests.shipper.restore.world import World


def test_an_object_that_is_missing(world: World) -> None:
    world.owner.delete([a_file(manifest_of(world))["path"]])
    with pytest.raises(Corrupt, match="missing in the bucket"):
        world.restore()
    untouched(world)


@pytest.mark.parametrize("how", ["flipped", "longer", "shorter", "empty"])
@pytest.mark.parametrize("digest", ["sha256", "hex", "base64", "none"])
def test_an_object_that_is_not_what_was_backed_up(world: World, how: str, digest: str) -> None:
    """With the digests of ours, of S3, of Google Cloud; without any, the size still tells."""
    sections = manifest_of(world)
    file = a_file(sections)
    body = world.owner.read(file["path"]).body
    as_stock_writes(file, body, digest)
    put_manifest(world, sections)
    changed = {
        "flipped": body[:-1] + bytes([body[-1] ^ 1]),
        "longer": body + b"x",
        "shorter": body[:-1],
        "empty": b"",
    }
    world.owner.put(file["path"], changed[how])
    if (digest, how) == ("none", "flipped"):
        return
    with pytest.raises(Corrupt, match="is damaged"):
        world.restore()
    untouched(world)


def as_stock_writes(file: dict[str, Any], body: bytes, digest: str) -> None:
    plain = hashlib.md5(body, usedforsecurity=False)
    if digest != "sha256":
        file.pop("sha256")
        file["MD5"] = {"hex": plain.hexdigest(), "base64": base64.b64encode(plain.digest()).decode(), "none": None}[
            digest
        ]


class Failing:
    """A store that fails after so many files."""

    def __init__(self, store: ObjectStore, after: int, error: BackupError) -> None:
        self.store, self.left, self.error = store, after, error

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 # whatever a store has
        return getattr(self.store, name)

    def fetch(self, key: str, sink: Sink) -> StoredObject:
        self.left -= 1
        if self.left < 0:
            raise self.error
        return self.store.fetch(key, sink)


def test_a_connection_that_breaks_keeps_what_was_fetched(world: World) -> None:
    trouble = Retryable("connection lost", hint="Try again.", operation="fetch")
    broken = replace(world, store=Failing(world.store, 10, trouble), workers=1)
    with pytest.raises(Retryable) as caught:
        broken.restore()
    assert "What was fetched is kept" in caught.value.hint
    assert not world.node.down
    world.back_up("tuesday")  # nothing stands in the way of the nightly backup
    trigger = Trigger()
    world.deadly(trigger).restore()
    assert trigger.counts()["store.fetch"] == 21 - 9
    assert world.stands() == "new"


def test_a_broken_connection_can_be_given_up(world: World) -> None:
    trouble = Retryable("connection lost", hint="Try again.", operation="fetch")
    broken = replace(world, store=Failing(world.store, 10, trouble))
    with pytest.raises(Retryable):
        broken.restore()
    world.undo()
    untouched(world)


@contextmanager
def files_up_to(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_disk_that_is_full_while_fetching(world: World) -> None:
    sections = manifest_of(world)
    file = a_file(sections)
    body = bytes(200_000)
    world.owner.put(file["path"], body)
    file |= {"size": len(body), "sha256": None}
    put_manifest(world, sections)
    with files_up_to(100_000), pytest.raises(NoSpace, match="No space left while writing"):
        world.restore()
    untouched(world)
