"""S3 on a bad network: whatever is cut, lost, delayed or flipped, an object arrives whole, once, or not at all."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from backupstore.errors import Conflict, Corrupt, NotFound, Retryable
from backupstore.stores.http.retry import Patience
from backupstore.stores.s3.store import S3Store
from tests.conformance.samples import MIB, Pattern, fetched_sha256, keys_below, whole
from tests.harness import s3_servers
from tests.harness.faulty_proxy import Fault, FaultyProxy, refusal
from tests.harness.s3_servers import S3Server
from tests.harness.s3_stores import How, opened

BUSY = [
    refusal(503, "SlowDown"),
    refusal(503, "ServiceUnavailable", "retry-after: 1"),
    refusal(500, "InternalError"),
    refusal(400, "RequestTimeout"),
    refusal(429, "TooManyRequests"),
    refusal(409, "ConditionalRequestConflict"),
    b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 4\r\n\r\noops",
    b"HTTP/1.1 504 Gateway Timeout\r\ntransfer-encoding: chunked\r\n\r\n3\r\nwhy\r\n0\r\n\r\n",
]


BUCKET = "trouble"


def uploads_left(server: S3Server) -> list[str]:
    with server.boto() as boto:
        return [one["Key"] for one in boto.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])]


class TestWriting:
    def test_a_small_object_is_one_request(self, store: S3Store, proxy: FaultyProxy, key: str) -> None:
        store.upload(key, whole(10_000))
        store.create(f"{key}2", b"body")
        assert [method for method, _, _ in proxy.requests] == ["PUT", "PUT"]

    @pytest.mark.parametrize("answer", BUSY)
    def test_a_busy_store_is_asked_again(self, store: S3Store, proxy: FaultyProxy, key: str, answer: bytes) -> None:
        proxy.faults.append(Fault("PUT", key, times=2, answer=answer))
        store.create(key, b"body")
        assert proxy.seen("PUT", key) == 3
        assert store.read(key).body == b"body"

    @pytest.mark.parametrize("size", [5, 3 * MIB])
    def test_a_lost_answer_to_a_create_is_no_conflict(
        self, store: S3Store, proxy: FaultyProxy, key: str, size: int
    ) -> None:
        proxy.faults.append(Fault("PUT", key, lose_answer=True))
        source = whole(size)
        stored = store.upload(key, source)
        assert stored == store.head(key)
        assert proxy.seen("PUT", key) == 2
        assert fetched_sha256(store, key) == source.sha256

    def test_a_lost_answer_does_not_hide_a_real_conflict(self, store: S3Store, proxy: FaultyProxy, key: str) -> None:
        store.create(key, b"theirs")
        proxy.faults.append(Fault("PUT", key, lose_answer=True))
        with pytest.raises(Conflict):
            store.create(key, b"ours..")
        assert store.read(key).body == b"theirs"

    def test_a_lost_answer_to_a_replace_is_no_conflict(self, store: S3Store, proxy: FaultyProxy, key: str) -> None:
        store.create(key, b"1")
        version = store.read(key).version
        proxy.faults.append(Fault("PUT", key, lose_answer=True))
        stored = store.replace(key, b"2", version)
        assert stored.digest == store.head(key).digest
        with pytest.raises(Conflict):
            store.replace(key, b"3", version)

    @pytest.mark.parametrize("at", [0, 100_000, 2 * MIB])
    def test_a_flipped_byte_on_its_way_up_is_sent_again(
        self, store: S3Store, proxy: FaultyProxy, key: str, at: int
    ) -> None:
        proxy.faults.append(Fault("PUT", key, flip_request=at))
        source = whole(3 * MIB)
        store.upload(key, source)
        assert proxy.seen("PUT", key) == 2
        assert fetched_sha256(store, key) == source.sha256

    def test_bytes_that_flip_every_time_are_corrupt(self, store: S3Store, proxy: FaultyProxy, key: str) -> None:
        proxy.faults.append(Fault("PUT", key, times=99, flip_request=3))
        with pytest.raises(Corrupt) as caught:
            store.upload(key, whole(1000))
        assert "on the way" in str(caught.value)
        proxy.faults.clear()
        with pytest.raises(NotFound):
            store.head(key)

    def test_a_flipped_byte_of_a_document_is_seen_too(self, store: S3Store, proxy: FaultyProxy, key: str) -> None:
        proxy.faults.append(Fault("PUT", key, flip_request=3))
        store.create(key, b"a document")
        assert store.read(key).body == b"a document"

    def test_a_server_that_is_gone_is_retryable(self, server: S3Server, key: str) -> None:
        store = opened(server, BUCKET, How(port=s3_servers.free_port(), patience=Patience(seconds=0.5)))
        with pytest.raises(Retryable) as caught:
            store.create(key, b"")
        assert "no connection" in str(caught.value)
        assert caught.value.hint

    def test_a_source_is_read_once_whatever_happens(self, store: S3Store, proxy: FaultyProxy, key: str) -> None:
        class Counted(Pattern):
            def chunks(self) -> Iterator[bytes]:
                passes.append(1)
                return super().chunks()

        passes: list[int] = []
        proxy.faults.append(Fault("PUT", key, times=2, spared=1, cut_request=MIB))
        source = Counted(12 * MIB, 12 * MIB)
        store.upload(key, source)
        assert passes == [1]
        assert fetched_sha256(store, key) == source.sha256


class TestWritingInParts:
    @pytest.mark.parametrize(
        "fault",
        [
            Fault("POST", "uploads", lose_answer=True),
            Fault("PUT", "partNumber=2", cut_request=3 * MIB),
            Fault("PUT", "partNumber=1", cut_request=0),
            Fault("PUT", "partNumber=3", lose_answer=True),
            Fault("PUT", "partNumber=2", times=3, answer=refusal(503, "SlowDown")),
            Fault("PUT", "partNumber=1", flip_request=4 * MIB),
            Fault("PUT", "partNumber=2", delay=0.5),
            Fault("POST", "uploadId", answer=refusal(500, "InternalError")),
            Fault("POST", "uploadId", cut_request=10),
            Fault("POST", "uploadId", lose_answer=True),
            Fault("POST", "uploadId", answer=refusal(200, "InternalError")),
            Fault("POST", "uploadId", cut_answer=20),
        ],
        ids=str,
    )
    def test_it_arrives_whole(
        self, store: S3Store, proxy: FaultyProxy, server: S3Server, key: str, fault: Fault
    ) -> None:
        before = set(uploads_left(server))
        proxy.faults.append(replace(fault))
        source = whole(13 * MIB)
        stored = store.upload(key, source)
        assert not proxy.faults
        assert stored.digest == store.head(key).digest
        assert stored.size == source.size
        assert fetched_sha256(store, key) == source.sha256
        lost = 1 if fault.target == "uploads" else 0
        assert len(set(uploads_left(server)) - before) == lost

    def test_a_failure_for_good_leaves_nothing(
        self, store: S3Store, proxy: FaultyProxy, server: S3Server, key: str
    ) -> None:
        proxy.faults.append(Fault("PUT", "partNumber=2", times=99, flip_request=1))
        with pytest.raises(Corrupt):
            store.upload(key, whole(30 * MIB))
        assert key not in uploads_left(server)
        assert keys_below(store, key.rpartition("/")[0] + "/") == []

    @pytest.mark.parametrize("error", [KeyboardInterrupt, GeneratorExit, MemoryError])
    def test_an_interrupt_leaves_nothing(
        self, store: S3Store, server: S3Server, key: str, error: type[BaseException]
    ) -> None:
        class Interrupted(Pattern):
            def chunks(self) -> Iterator[bytes]:
                yield from super().chunks()
                raise error

        with pytest.raises(error):
            store.upload(key, Interrupted(30 * MIB, 25 * MIB))
        assert key not in uploads_left(server)
        assert not [thread for thread in threading.enumerate() if thread.name.startswith("s3-")]

    def test_an_upload_that_somebody_gave_up_begins_anew(
        self, store: S3Store, proxy: FaultyProxy, server: S3Server, key: str
    ) -> None:
        swept: list[int] = []

        class Sweeping(Pattern):
            def chunks(self) -> Iterator[bytes]:
                for number, chunk in enumerate(super().chunks()):
                    if number == 9 and not swept:
                        swept.append(opened(server, BUCKET).sweep_uploads(4e9, key.rpartition("/")[0] + "/"))
                    yield chunk

        source = Sweeping(13 * MIB, 13 * MIB)
        store.upload(key, source)
        assert swept == [1]
        assert proxy.seen("POST", "uploads=") == 2
        assert fetched_sha256(store, key) == source.sha256

    @pytest.mark.parametrize("said", ["InvalidPart", "NoSuchUpload", "InvalidRequest: created using the null checksum"])
    def test_parts_that_are_gone_at_the_end_are_sent_anew(
        self, store: S3Store, proxy: FaultyProxy, server: S3Server, key: str, said: str
    ) -> None:
        code, _, message = said.partition(": ")
        source = whole(8 * MIB)
        proxy.faults.append(Fault("POST", "uploadId", answer=refusal(400, code, message=message)))
        store.upload(key, source)
        assert proxy.seen("POST", "uploads=") == 2
        assert fetched_sha256(store, key) == source.sha256
        assert key not in uploads_left(server)

    def test_parts_that_are_gone_again_and_again_end_it(
        self, store: S3Store, proxy: FaultyProxy, server: S3Server, key: str
    ) -> None:
        proxy.faults.append(Fault("POST", "uploadId", times=99, answer=refusal(404, "NoSuchUpload")))
        with pytest.raises(Retryable, match="again and again") as caught:
            store.upload(key, whole(8 * MIB))
        assert "lifecycle" in caught.value.hint
        assert proxy.seen("POST", "uploads=") == 3
        assert key not in uploads_left(server)

    def test_a_large_upload_to_a_taken_key_changes_nothing(
        self, store: S3Store, proxy: FaultyProxy, server: S3Server, key: str
    ) -> None:
        store.create(key, b"theirs")
        proxy.requests.clear()
        with pytest.raises(Conflict):
            store.upload(key, whole(13 * MIB))
        assert store.read(key).body == b"theirs"
        assert key not in uploads_left(server)
        assert proxy.seen("HEAD") == 0, "the condition at the end is what counts; whoever uploads has seen a listing"

    def test_stale_uploads_are_swept_and_others_stay(self, store: S3Store, server: S3Server, key: str) -> None:
        folder = key.rpartition("/")[0]
        with server.boto() as boto:
            for name in (f"{folder}/a b+c%&.db", f"{folder}/b", f"{folder}-neighbour/c"):
                boto.create_multipart_upload(Bucket=BUCKET, Key=name)
        assert store.sweep_uploads(0.0, f"{folder}/") == 0
        assert store.sweep_uploads(4e9, f"{folder}/") == 2
        left = uploads_left(server)
        assert f"{folder}-neighbour/c" in left
        assert not [name for name in left if name.startswith(f"{folder}/")]
