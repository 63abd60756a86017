"""The digest of what S3 was sent in parts: as the formula has it, and as stock's own library makes it on a real server."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from boto3.s3.transfer import TransferConfig

from backupstore.core.etag import EtagOfParts, etag_like
from backupstore.ports import StoredObject
from tests.harness.s3_servers import versitygw
from tests.recorded import NAME
from tests.shipper.backup.world import World, Wrapped, elsewhere

_MIB = 1 << 20


@pytest.mark.parametrize("size", [0, 1, 4, 5, 6, 10, 11, 23])
@pytest.mark.parametrize("piece", [1, 3, 5, 7, 100])
def test_pieces_need_not_fit_the_parts(size: int, piece: int) -> None:
    body = bytes(range(size))
    parts = [body[start : start + 5] for start in range(0, size, 5)] or [b""]
    digests = b"".join(hashlib.md5(part, usedforsecurity=False).digest() for part in parts)
    etag = EtagOfParts(5)
    for start in range(0, size, piece):
        etag.update(body[start : start + piece])
    assert etag.hexdigest() == f"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-{len(parts)}"


def test_it_is_what_a_server_says(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(random.Random("etag").randbytes(13 * _MIB))
    with versitygw(tmp_path) as server, server.boto() as boto:
        server.bucket("etags")
        for part in (5, 6, 50):
            config = TransferConfig(multipart_threshold=_MIB, multipart_chunksize=part * _MIB)
            boto.upload_file(Filename=str(file), Bucket="etags", Key="k", Config=config)
            told = boto.head_object(Bucket="etags", Key="k")["ETag"].strip('"')
            like = etag_like(told, 13 * _MIB, part * _MIB)
            assert like is not None
            like.update(file.read_bytes())
            assert like.hexdigest() == told


def test_parts_of_unknown_size_are_not_guessed() -> None:
    whole = "0" * 32
    assert etag_like(f"{whole}-7", 100 * _MIB, 50 * _MIB) is None
    assert etag_like(f"{whole}-13", 100 * _MIB, 20 * _MIB) is not None, "the library's own default of 8 MiB"
    for other in (None, whole, f"{whole}-0", f'"{whole}-2"', "opaque"):
        assert etag_like(other, 100 * _MIB, 50 * _MIB) is None


class SentInParts(Wrapped):
    """A bucket whose objects stock sent in parts, and which nobody should have to download."""

    def list(self, folder: str) -> Iterator[StoredObject]:
        for stored in self.store.list(folder):
            etag = EtagOfParts(50 * _MIB)
            etag.update(self.store.read(stored.key).body)
            yield replace(stored, digest=etag.hexdigest())

    def fetch(self, key: str, _sink: object) -> StoredObject:
        raise AssertionError(key)


def test_what_stock_sent_in_parts_is_not_downloaded_to_be_compared(memory_world: World) -> None:
    world = memory_world
    for file, body in world.node.contents().items():
        world.owner.put(f"prod/{NAME}/data/{file}", body)
    report = elsewhere(world, store=SentInParts(world.store)).back_up("monday")
    assert report.totals.new_files == 0
