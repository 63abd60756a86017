"""Reading from S3 on a bad network: every byte comes once, in order, and is the right one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from backupstore.errors import Corrupt
from backupstore.stores.http.faults import DAMAGED_TRIES
from backupstore.stores.s3.store import S3Store
from tests.conformance.samples import MIB, Pattern, fetched_sha256, keys_below, whole
from tests.harness.faulty_proxy import Fault, FaultyProxy, refusal
from tests.harness.s3_servers import S3Server
from tests.harness.s3_stores import opened

BUCKET = "trouble-reading"


class TestReading:
    SIZE = 9 * MIB + 5

    @pytest.fixture
    def source(self, server: S3Server, key: str) -> Pattern:
        source = whole(self.SIZE)
        opened(server, BUCKET).upload(key, source)
        return source

    @pytest.mark.parametrize(
        "fault",
        [
            Fault("GET", cut_answer=0),
            Fault("GET", cut_answer=MIB),
            Fault("GET", times=3, cut_answer=MIB + 17),
            Fault("GET", spared=2, times=2, cut_answer=100_000),
            Fault("GET", lose_answer=True),
            Fault("GET", spared=1, times=2, answer=refusal(503, "SlowDown")),
            Fault("HEAD", answer=b"HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n"),
        ],
        ids=str,
    )
    def test_every_byte_comes_once(
        self, store: S3Store, proxy: FaultyProxy, source: Pattern, key: str, fault: Fault
    ) -> None:
        proxy.faults.append(replace(fault))
        assert fetched_sha256(store, key) == source.sha256
        assert not proxy.faults
        proxy.faults.append(replace(fault))
        store._downloads._crowd.size += 3  # beside others it streams
        assert fetched_sha256(store, key) == source.sha256

    def test_what_has_not_changed_moves_no_body(self, store: S3Store, proxy: FaultyProxy, key: str) -> None:
        store.create(key, b"body")
        version = store.read(key).version
        proxy.requests.clear()
        of_a_body = Fault("GET", flip_answer=0)
        proxy.faults.append(of_a_body)
        assert store.read_if_changed(key, version) is None
        assert [headers["if-none-match"] for _, _, headers in proxy.requests] == [f'"{version}"']
        assert not of_a_body.struck

    def test_a_busy_store_is_asked_again_whether_it_has_changed(
        self, store: S3Store, proxy: FaultyProxy, key: str
    ) -> None:
        store.create(key, b"1")
        version = store.read(key).version
        proxy.faults.append(Fault("GET", times=2, answer=refusal(503, "SlowDown")))
        assert store.read_if_changed(key, version) is None
        store.put(key, b"2")
        proxy.faults += [Fault("GET", lose_answer=True), Fault("GET", flip_answer=0)]
        changed = store.read_if_changed(key, version)
        assert changed is not None
        assert changed.body == b"2"
        assert not proxy.faults

    def test_what_was_there_is_not_asked_for_again(
        self, store: S3Store, proxy: FaultyProxy, source: Pattern, key: str
    ) -> None:
        proxy.faults.append(Fault("GET", cut_answer=MIB + MIB // 2))
        assert fetched_sha256(store, key) == source.sha256
        asked = [headers["range"] for method, _, headers in proxy.requests if method == "GET"]
        assert asked[0] == f"bytes=0-{2 * MIB - 1}"
        start = int(asked[1].removeprefix("bytes=").partition("-")[0])
        assert MIB <= start <= MIB + MIB // 2
        assert proxy.requests[1][2]["if-match"]

    @pytest.mark.parametrize("spared", [0, 3])
    def test_a_flipped_byte_on_its_way_down_is_noticed(
        self, store: S3Store, proxy: FaultyProxy, source: Pattern, key: str, spared: int
    ) -> None:
        proxy.faults.append(Fault("GET", spared=spared, flip_answer=1000))
        with pytest.raises(Corrupt):
            fetched_sha256(store, key)
        assert fetched_sha256(store, key) == source.sha256

    def test_small_objects_are_checked_before_anybody_gets_them(
        self, store: S3Store, proxy: FaultyProxy, key: str
    ) -> None:
        source = whole(MIB)
        store.upload(key, source)
        proxy.faults.append(Fault("GET", flip_answer=1000))
        assert fetched_sha256(store, key) == source.sha256
        proxy.faults.append(Fault("GET", flip_answer=1000))
        assert store.read(key).body == b"".join(source.chunks())
        proxy.faults.append(Fault("GET", times=99, flip_answer=1000))
        before = len(proxy.requests)
        with pytest.raises(Corrupt):
            store.read(key)
        assert len(proxy.requests) - before == DAMAGED_TRIES, "as with every other damage"

    def test_an_object_that_changes_meanwhile_is_noticed(
        self, store: S3Store, server: S3Server, source: Pattern, key: str
    ) -> None:
        pieces: list[bytes] = []

        def sink(piece: bytes) -> None:
            if not pieces:
                with server.boto() as boto:
                    boto.put_object(Bucket=BUCKET, Key=key, Body=b"x" * source.size)
            pieces.append(piece)

        store._downloads._crowd.size += 3
        with pytest.raises(Corrupt) as caught:
            store.fetch(key, sink)
        assert "changed" in str(caught.value)

    def test_a_listing_that_breaks_off_goes_on(
        self, store: S3Store, proxy: FaultyProxy, source: Pattern, key: str
    ) -> None:
        assert source.size
        proxy.faults.append(Fault("GET", "list-type", cut_answer=50))
        assert keys_below(store, key.rpartition("/")[0] + "/") == [key]

    def test_a_deletion_that_is_lost_is_done_again(
        self, store: S3Store, proxy: FaultyProxy, source: Pattern, key: str
    ) -> None:
        assert source.size
        proxy.faults.append(Fault("POST", "delete", lose_answer=True))
        store.delete([key])
        assert keys_below(store, key.rpartition("/")[0] + "/") == []

    def test_keys_that_could_not_be_deleted_are_tried_again(
        self, store: S3Store, proxy: FaultyProxy, source: Pattern, key: str
    ) -> None:
        assert source.size
        failed = f"<DeleteResult><Error><Key>{key}</Key><Code>InternalError</Code></Error></DeleteResult>".encode()
        answer = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(failed) + failed
        proxy.faults.append(Fault("POST", "delete", answer=answer))
        store.delete([key])
        assert keys_below(store, key.rpartition("/")[0] + "/") == []
