"""Google Cloud Storage on a bad network: whatever is cut, lost or flipped, an object arrives whole, once, or not at all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from backupstore.errors import BackupError, Conflict, Corrupt, Denied, Misconfigured, NotFound, Refused, Retryable
from backupstore.stores.gcs.options import Storing
from backupstore.stores.gcs.store import GcsStore
from tests.conformance.samples import MIB, Pattern, fetched_sha256, keys_below, whole
from tests.harness.faulty_proxy import Fault, FaultyProxy
from tests.harness.gcs_server import GcsServer, How, opened, refusal
from tests.harness.s3_servers import certificate, free_port

BUCKET = "trouble"

PIECE = MIB
BUSY = [
    refusal(503, "backendError"),
    refusal(429, "rateLimitExceeded"),
    refusal(403, "userRateLimitExceeded"),
    refusal(500, "internalError", headers=("retry-after: 1",)),
    refusal(408, ""),
    b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 4\r\n\r\noops",
]


@pytest.fixture
def in_pieces(server: GcsServer, proxy: FaultyProxy) -> GcsStore:
    """Larger objects go by several requests."""
    return opened(server, BUCKET, How(port=proxy.port, storing=Storing(piece=PIECE)))


def puts(proxy: FaultyProxy) -> list[str]:
    """Which bytes of large objects were sent."""
    return [headers["content-range"] for method, _, headers in proxy.requests if method == "PUT"]


class TestWriting:
    def test_a_small_object_is_one_request(self, store: GcsStore, proxy: FaultyProxy, key: str) -> None:
        store.upload(key, whole(10_000))
        store.create(f"{key}2", b"body")
        assert [method for method, _, _ in proxy.requests] == ["POST", "POST"]

    @pytest.mark.parametrize("answer", BUSY)
    def test_a_busy_store_is_asked_again(self, store: GcsStore, proxy: FaultyProxy, key: str, answer: bytes) -> None:
        proxy.faults.append(Fault("POST", times=2, answer=answer))
        store.create(key, b"body")
        assert len(proxy.requests) == 3
        assert store.read(key).body == b"body"

    @pytest.mark.parametrize("size", [5, 3 * MIB])
    def test_a_lost_answer_to_a_create_is_no_conflict(
        self, store: GcsStore, proxy: FaultyProxy, key: str, size: int
    ) -> None:
        proxy.faults.append(Fault("POST", lose_answer=True))
        source = whole(size)
        assert store.upload(key, source) == store.head(key)
        assert proxy.seen("POST") == 2
        assert fetched_sha256(store, key) == source.sha256

    def test_a_lost_answer_does_not_hide_a_real_conflict(self, store: GcsStore, proxy: FaultyProxy, key: str) -> None:
        store.create(key, b"theirs")
        proxy.faults.append(Fault("POST", lose_answer=True))
        with pytest.raises(Conflict):
            store.create(key, b"ours..")
        assert store.read(key).body == b"theirs"

    def test_a_lost_answer_to_a_replace_is_no_conflict(self, store: GcsStore, proxy: FaultyProxy, key: str) -> None:
        store.create(key, b"1")
        version = store.read(key).version
        proxy.faults.append(Fault("POST", lose_answer=True))
        assert store.replace(key, b"2", version).digest == store.head(key).digest
        with pytest.raises(Conflict):
            store.replace(key, b"3", version)

    @pytest.mark.parametrize("at", [500, 100_000, 2 * MIB])
    def test_a_flipped_byte_on_its_way_up_is_sent_again(
        self, store: GcsStore, proxy: FaultyProxy, key: str, at: int
    ) -> None:
        proxy.faults.append(Fault("POST", flip_request=at))
        source = whole(3 * MIB)
        store.upload(key, source)
        assert proxy.seen("POST") == 2
        assert fetched_sha256(store, key) == source.sha256

    def test_bytes_that_flip_every_time_are_corrupt(self, store: GcsStore, proxy: FaultyProxy, key: str) -> None:
        proxy.faults.append(Fault("POST", times=99, flip_request=500))
        with pytest.raises(Corrupt, match="on the way"):
            store.upload(key, whole(1000))
        proxy.faults.clear()
        with pytest.raises(NotFound):
            store.head(key)

    def test_a_server_that_is_gone_is_retryable(self, server: GcsServer, key: str) -> None:
        with pytest.raises(Retryable, match="no connection") as caught:
            opened(server, BUCKET, How(port=free_port())).create(key, b"")
        assert caught.value.hint

    def test_who_may_not_delete_is_told_of_a_key_in_use_as_of_any_other(
        self, store: GcsStore, proxy: FaultyProxy, key: str
    ) -> None:
        """An object is overwritten by the right to delete it: Google may say so before it looks at the condition."""
        said = "node1@lab.iam.gserviceaccount.com does not have storage.objects.delete access to the object."
        proxy.faults.append(Fault("POST", times=3, answer=refusal(403, "forbidden", said)))
        with pytest.raises(Conflict):
            store.create(key, b"")
        with pytest.raises(Conflict):
            store.upload(key, whole(9 * MIB))
        with pytest.raises(Denied):
            store.put(key, b"")


class TestLargeObjects:
    def test_they_go_piece_by_piece(self, in_pieces: GcsStore, proxy: FaultyProxy, key: str) -> None:
        source = whole(2 * PIECE + 5)
        stored = in_pieces.upload(key, source)
        total = source.size
        assert puts(proxy) == [
            f"bytes 0-{PIECE - 1}/{total}",
            f"bytes {PIECE}-{2 * PIECE - 1}/{total}",
            f"bytes {2 * PIECE}-{total - 1}/{total}",
        ]
        last = proxy.requests[-1][2]
        assert last["x-goog-hash"].startswith("crc32c="), "the store compares all of it at the end"
        assert stored == in_pieces.head(key)
        assert fetched_sha256(in_pieces, key) == source.sha256

    def test_of_a_size_that_ends_with_a_piece(self, in_pieces: GcsStore, proxy: FaultyProxy, key: str) -> None:
        source = whole(2 * PIECE)
        in_pieces.upload(key, source)
        assert len(puts(proxy)) == 2
        assert fetched_sha256(in_pieces, key) == source.sha256

    @pytest.mark.parametrize("spared", range(3))
    @pytest.mark.parametrize("cut", [0, 70_000])
    def test_a_piece_that_is_cut_is_sent_again(
        self, in_pieces: GcsStore, proxy: FaultyProxy, key: str, spared: int, cut: int
    ) -> None:
        proxy.faults.append(Fault("PUT", spared=spared, cut_request=cut))
        source = whole(2 * PIECE + 100_000)
        in_pieces.upload(key, source)
        assert len(puts(proxy)) == 4
        assert fetched_sha256(in_pieces, key) == source.sha256

    def test_the_rest_of_a_piece_is_sent_when_the_store_has_taken_some(
        self, in_pieces: GcsStore, proxy: FaultyProxy, key: str
    ) -> None:
        some = b"HTTP/1.1 308 Resume Incomplete\r\nrange: bytes=0-262143\r\ncontent-length: 0\r\n\r\n"
        proxy.faults.append(Fault("PUT", answer=some))
        with pytest.raises(Corrupt, match="on the way"):  # this server never had those that we were told it has
            in_pieces.upload(key, whole(2 * PIECE))
        assert puts(proxy)[:2] == [f"bytes 0-{PIECE - 1}/{2 * PIECE}", f"bytes 262144-{PIECE - 1}/{2 * PIECE}"]
        with pytest.raises(NotFound):
            in_pieces.head(key)

    def test_a_store_that_has_lost_what_it_had_is_sent_all_of_it(
        self, in_pieces: GcsStore, proxy: FaultyProxy, key: str
    ) -> None:
        less = b"HTTP/1.1 308 Resume Incomplete\r\nrange: bytes=0-9\r\ncontent-length: 0\r\n\r\n"
        proxy.faults.append(Fault("PUT", spared=1, answer=less))
        source = whole(2 * PIECE + 1)
        in_pieces.upload(key, source)
        assert fetched_sha256(in_pieces, key) == source.sha256

    @pytest.mark.parametrize("status", [404, 410])
    def test_a_session_that_is_over_is_begun_anew(
        self, in_pieces: GcsStore, proxy: FaultyProxy, key: str, status: int
    ) -> None:
        proxy.faults.append(Fault("PUT", spared=1, answer=refusal(status, "notFound")))
        source = whole(2 * PIECE)
        in_pieces.upload(key, source)
        assert proxy.seen("POST") == 2
        assert fetched_sha256(in_pieces, key) == source.sha256

    def test_sessions_that_are_over_again_and_again_are_told(
        self, in_pieces: GcsStore, proxy: FaultyProxy, key: str
    ) -> None:
        proxy.faults.append(Fault("PUT", times=99, answer=refusal(410, "gone")))
        with pytest.raises(Retryable, match="again and again"):
            in_pieces.upload(key, whole(2 * PIECE))

    def test_a_lost_answer_to_the_last_piece_is_no_conflict(
        self, in_pieces: GcsStore, proxy: FaultyProxy, key: str
    ) -> None:
        proxy.faults.append(Fault("PUT", spared=1, lose_answer=True))
        source = whole(2 * PIECE)
        assert in_pieces.upload(key, source) == in_pieces.head(key)
        assert fetched_sha256(in_pieces, key) == source.sha256
        with pytest.raises(Conflict):
            in_pieces.upload(key, source)

    def test_a_flipped_byte_leaves_no_object(self, in_pieces: GcsStore, proxy: FaultyProxy, key: str) -> None:
        """Google refuses the last piece; this server makes an object, which is taken away."""
        proxy.faults.append(Fault("PUT", flip_request=1000))
        with pytest.raises(Corrupt, match="on the way"):
            in_pieces.upload(key, whole(2 * PIECE))
        with pytest.raises(NotFound):
            in_pieces.head(key)

    def test_a_source_that_breaks_ends_the_session(self, in_pieces: GcsStore, proxy: FaultyProxy, key: str) -> None:
        with pytest.raises(Corrupt, match="more or fewer"):
            in_pieces.upload(key, Pattern(3 * PIECE, 2 * PIECE))
        assert proxy.seen("DELETE", "upload_id=") == 1
        with pytest.raises(NotFound):
            in_pieces.head(key)


class TestReading:
    @pytest.mark.parametrize("size", [200_000, 5 * MIB])
    @pytest.mark.parametrize("cut", [0, 100_000])
    def test_a_download_that_breaks_goes_on(
        self, store: GcsStore, proxy: FaultyProxy, key: str, size: int, cut: int
    ) -> None:
        source = whole(size)
        store.upload(key, source)
        proxy.faults.append(Fault("GET", cut_answer=cut))
        assert fetched_sha256(store, key) == source.sha256
        assert proxy.seen("GET") == 2

    def test_what_has_not_changed_is_told_without_a_body(self, store: GcsStore, proxy: FaultyProxy, key: str) -> None:
        """As Google says it; fake-gcs-server does not know the condition, and sends the object."""
        store.create(key, b"body")
        version = store.read(key).version
        proxy.requests.clear()
        proxy.faults.append(Fault("GET", answer=b"HTTP/1.1 304 Not Modified\r\n\r\n"))
        assert store.read_if_changed(key, version) is None
        assert store.read_if_changed(key, version) is None
        assert not proxy.faults
        assert [f"ifGenerationNotMatch={version}" in target for _, target, _ in proxy.requests] == [True, True]

    def test_it_goes_on_with_the_same_object_or_not_at_all(
        self, store: GcsStore, server: GcsServer, proxy: FaultyProxy, key: str
    ) -> None:
        store.upload(key, whole(5 * MIB))

        def overwrite() -> None:
            opened(server, BUCKET).put(key, b"other")

        proxy.faults.append(Fault("GET", cut_answer=3 * MIB, then=overwrite))
        with pytest.raises(Corrupt, match="changed while it was read"):
            fetched_sha256(store, key)

    def test_a_flipped_byte_of_a_small_object_is_asked_for_again(
        self, store: GcsStore, proxy: FaultyProxy, key: str
    ) -> None:
        source = whole(100_000)
        store.upload(key, source)
        proxy.faults += [Fault("GET", flip_answer=99_000), Fault("GET", flip_answer=1)]
        assert fetched_sha256(store, key) == source.sha256
        assert store.read(key).body == b"".join(source.chunks())

    def test_a_flipped_byte_of_a_large_object_is_told(self, store: GcsStore, proxy: FaultyProxy, key: str) -> None:
        store.upload(key, whole(5 * MIB))
        proxy.faults.append(Fault("GET", flip_answer=4 * MIB))
        with pytest.raises(Corrupt, match="on the way"):
            fetched_sha256(store, key)

    def test_bytes_without_a_checksum_are_not_believed(self, store: GcsStore, proxy: FaultyProxy, key: str) -> None:
        store.create(key, b"body")
        proxy.hidden = "x-goog-hash"
        with pytest.raises(Corrupt):
            store.read(key)
        with pytest.raises(Corrupt):
            store.fetch(key, lambda _: None)


class TestManyKeys:
    def test_listings_and_deletions_of_more_than_one_page(self, store: GcsStore, key: str) -> None:
        folder = key.removesuffix("a")
        names = sorted(f"{folder}{number:04}" for number in range(1105))
        for name in names:
            store.put(name, b"")
        assert keys_below(store, folder) == names
        assert [stored.key for stored in store.entries(folder).objects] == names
        store.delete(names[:-3])
        assert keys_below(store, folder) == names[-3:]

    def test_a_batch_that_breaks_is_sent_again(self, store: GcsStore, proxy: FaultyProxy, key: str) -> None:
        store.create(key, b"")
        proxy.faults += [Fault("POST", "batch", answer=BUSY[0]), Fault("POST", "batch", lose_answer=True)]
        store.delete([key, f"{key}b"])
        with pytest.raises(NotFound):
            store.head(key)

    def test_a_key_that_nothing_was_said_of_is_not_taken_for_deleted(
        self, store: GcsStore, proxy: FaultyProxy, key: str
    ) -> None:
        said = (
            b"--x\r\ncontent-type: application/http\r\ncontent-id: <response-1>\r\n\r\n"
            b"HTTP/1.1 204 No Content\r\n\r\n\r\n--x--\r\n"
        )
        head = f"HTTP/1.1 200 OK\r\ncontent-type: multipart/mixed; boundary=x\r\ncontent-length: {len(said)}\r\n\r\n"
        proxy.faults.append(Fault("POST", "batch", times=99, answer=head.encode() + said))
        with pytest.raises(Retryable, match=f"delete {key}: the store did not say"):
            store.delete([key, f"{key}b"])

    def test_a_key_that_may_not_be_deleted_is_named(self, store: GcsStore, proxy: FaultyProxy, key: str) -> None:
        refused = refusal(403, "retentionPolicyNotMet")
        said = (
            b"--x\r\ncontent-type: application/http\r\ncontent-id: <response-0>\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n"
            b"\r\n--x\r\ncontent-type: application/http\r\ncontent-id: <response-1>\r\n\r\n"
            + refused
            + b"\r\n--x--\r\n"
        )
        head = f"HTTP/1.1 200 OK\r\ncontent-type: multipart/mixed; boundary=x\r\ncontent-length: {len(said)}\r\n\r\n"
        proxy.faults.append(Fault("POST", "batch", answer=head.encode() + said))
        with pytest.raises(Denied, match=f"delete {key}b") as caught:
            store.delete([key, f"{key}b"])
        assert "retention" in caught.value.hint


REFUSALS: list[tuple[bytes, type[BackupError], str]] = [
    (refusal(401, "authError"), Denied, "key_file"),
    (refusal(403, "forbidden"), Denied, "roles"),
    (refusal(404, "notFound", "The specified bucket does not exist."), NotFound, "bucket_name"),
    (refusal(404, "notFound", "No such object"), NotFound, "list the backups"),
    (refusal(400, "invalid", "no such storage class"), Misconfigured, "storage_class"),
    (refusal(409, "conflict"), Refused, "Try again"),
    (refusal(412, "conditionNotMet"), Conflict, ""),
    (b"HTTP/1.1 304 Not Modified\r\n\r\n", Misconfigured, "bucket_name"),
    (b"HTTP/1.1 418 Teapot\r\ncontent-length: 3\r\n\r\n[[[", Misconfigured, "bucket_name"),
    (b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n[[[", Corrupt, "Google"),
    (b'HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n{"name":"a"', Corrupt, "Google"),
    (b'HTTP/1.1 200 OK\r\ncontent-length: 12\r\n\r\n{"name":"a"}', Corrupt, "Google"),
]


@pytest.mark.parametrize(("answer", "error", "hint"), REFUSALS, ids=range(len(REFUSALS)))
def test_whatever_google_answers_is_an_error_of_ours_with_a_hint(
    store: GcsStore, proxy: FaultyProxy, answer: bytes, error: type[BackupError], hint: str
) -> None:
    proxy.faults.append(Fault("GET", times=99, answer=answer))
    with pytest.raises(error) as caught:
        store.head("a/key")
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    "document",
    [
        *(b"5", b"[]", b'{"items": 5}', b'{"items": {"a": 1}}', b'{"items": [5]}', b'{"prefixes": 5}'),
        *(b'{"prefixes": [5]}', b'{"nextPageToken": 5}'),
        b'{"items": [{"name": "a", "size": "x", "timeCreated": "", "generation": "1"}]}',
    ],
)
def test_a_listing_that_makes_no_sense_is_not_an_empty_one(
    store: GcsStore, proxy: FaultyProxy, document: bytes
) -> None:
    head = f"HTTP/1.1 200 OK\r\ncontent-length: {len(document)}\r\n\r\n".encode()
    proxy.faults.append(Fault("GET", times=99, answer=head + document))
    with pytest.raises(Corrupt):
        list(store.list("a/"))


def test_a_bucket_that_is_not_there_is_not_empty(server: GcsServer) -> None:
    store = opened(server, "nothere")
    for call in (store.look, lambda: list(store.list("")), lambda: store.entries("a/"), lambda: store.create("a", b"")):
        with pytest.raises(NotFound, match="no such bucket: nothere at 127"):
            call()


def test_a_server_without_tls_is_said_at_once(server: GcsServer, tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="TLS"):
        opened(replace(server, authority=certificate(tmp_path)), BUCKET).look()
