"""What an S3 store checks on arrival, and the ETags that come of it."""

from __future__ import annotations

import hashlib

import pytest

from backupstore.ports import ObjectStore
from backupstore.stores.s3.options import Storing
from tests.conformance.samples import MIB, fetched_sha256, whole
from tests.harness.faulty_proxy import Fault, FaultyProxy, refusal
from tests.harness.s3_contract import VersitygwContract
from tests.harness.s3_servers import S3Server
from tests.harness.s3_stores import How, after_a_write, opened

BUCKET = "checksums"


@pytest.fixture
def key(folder: str) -> str:
    """One that has to be encoded."""
    return f"{folder}a b+c%ü"


class TestWithMd5Alone(VersitygwContract):
    """A server that does not know CRC64NVME, as older ones of Ceph."""

    @pytest.fixture
    def store(self, server: S3Server) -> ObjectStore:
        return after_a_write(opened(server, BUCKET), knows_crc=False)


class TestWhatTheStoreKnows:
    def test_the_first_write_tells(self, server: S3Server, proxy: FaultyProxy, key: str) -> None:
        store = opened(server, BUCKET, How(port=proxy.port))
        for number in range(3):
            store.create(f"{key}{number}", b"body")
        sent = [("x-amz-checksum-crc64nvme" in headers, "content-md5" in headers) for _, _, headers in proxy.requests]
        assert sent == [(True, True), (True, False), (True, False)]

    def test_a_store_that_says_nothing_back_is_sent_md5(self, server: S3Server, proxy: FaultyProxy, key: str) -> None:
        store = opened(server, BUCKET, How(port=proxy.port))
        proxy.hidden = "x-amz-checksum"
        for number in range(2):
            store.create(f"{key}{number}", b"body")
        assert "x-amz-checksum-crc64nvme" not in proxy.requests[1][2]
        proxy.faults.append(Fault("PUT", flip_request=2))
        store.create(f"{key}3", b"body")
        assert store.read(f"{key}3").body == b"body"

    @pytest.mark.parametrize("size", [10, 11 * MIB])
    def test_a_store_that_refuses_it_is_sent_md5(
        self, server: S3Server, proxy: FaultyProxy, key: str, size: int
    ) -> None:
        store = opened(server, BUCKET, How(port=proxy.port))
        proxy.faults.append(Fault("PUT" if size < MIB else "POST", answer=refusal(501, "NotImplemented")))
        source = whole(size)
        store.upload(key, source)
        assert fetched_sha256(store, key) == source.sha256
        again = [headers for method, _, headers in proxy.requests if method == "PUT"]
        assert "content-md5" in again[-1]
        assert "x-amz-checksum-crc64nvme" not in again[-1]

    def test_an_object_of_parts_is_checked_by_their_md5(self, server: S3Server, proxy: FaultyProxy, key: str) -> None:
        store = after_a_write(opened(server, BUCKET, How(port=proxy.port)), knows_crc=False)
        proxy.hidden = "x-amz-checksum"
        proxy.faults += [Fault("PUT", "partNumber=2", flip_request=99), Fault("POST", "uploadId", lose_answer=True)]
        source = whole(11 * MIB)
        store.upload(key, source)
        assert not proxy.faults
        assert fetched_sha256(store, key) == source.sha256


class TestEtagsAreThoseOfStock:
    """Stock compares what it computes from ``multi_part_upload_threshold`` and ``multipart_chunksize``."""

    @pytest.mark.parametrize(
        ("size", "parts"), [(8 * MIB - 1, 0), (8 * MIB, 2), (10 * MIB, 2), (10 * MIB + 1, 3), (5 * MIB, 0)]
    )
    def test_parts_begin_at_the_threshold(self, server: S3Server, key: str, size: int, parts: int) -> None:
        source = whole(size)
        stored = opened(server, BUCKET).upload(key, source)
        body = b"".join(source.chunks())
        if parts:
            digests = [hashlib.md5(body[at : at + 5 * MIB]).digest() for at in range(0, size, 5 * MIB)]  # noqa: S324
            assert stored.digest == f"{hashlib.md5(b''.join(digests)).hexdigest()}-{parts}"  # noqa: S324
        else:
            assert stored.digest == hashlib.md5(body).hexdigest()  # noqa: S324

    def test_one_part_is_a_part(self, server: S3Server, key: str) -> None:
        storing = Storing(threshold=2 * MIB, part_size=50 * MIB)
        stored = opened(server, BUCKET, How(storing=storing)).upload(key, whole(3 * MIB))
        assert stored.digest
        assert stored.digest.endswith("-1")
