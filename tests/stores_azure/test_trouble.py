"""Azure on a bad network: whatever is cut, lost or flipped, a blob arrives whole, once, or not at all."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from backupstore.errors import BackupError, Conflict, Corrupt, Denied, Misconfigured, NotFound, Refused, Retryable
from backupstore.stores.azure.options import Storing
from backupstore.stores.azure.store import AzureStore
from tests.conformance.samples import MIB, BrokenSourceError, Pattern, fetched_sha256, keys_below, whole
from tests.harness.azurite import Azurite, How, opened, refusal
from tests.harness.faulty_proxy import Fault, FaultyProxy
from tests.harness.s3_servers import free_port

BUCKET = "trouble"

BUSY = [
    refusal(503, "ServerBusy"),
    refusal(500, "OperationTimedOut"),
    refusal(500, "InternalError", "as arranged", "retry-after: 1"),
    refusal(429, ""),
    b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 4\r\n\r\noops",
]


@pytest.fixture
def in_blocks(server: Azurite, proxy: FaultyProxy) -> AzureStore:
    """Larger blobs go by several requests."""
    return opened(server, BUCKET, How(port=proxy.port, storing=Storing(block=MIB)))


class TestWriting:
    def test_a_small_object_is_one_request(self, store: AzureStore, proxy: FaultyProxy, key: str) -> None:
        store.upload(key, whole(10_000))
        store.create(f"{key}2", b"body")
        assert [method for method, _, _ in proxy.requests] == ["PUT", "PUT"]

    @pytest.mark.parametrize("answer", BUSY)
    def test_a_busy_store_is_asked_again(self, store: AzureStore, proxy: FaultyProxy, key: str, answer: bytes) -> None:
        proxy.faults.append(Fault("PUT", times=2, answer=answer))
        store.create(key, b"body")
        assert len(proxy.requests) == 3
        assert store.read(key).body == b"body"

    @pytest.mark.parametrize("target", ["", "comp=blocklist"])
    def test_a_lost_answer_to_a_create_is_no_conflict(
        self, in_blocks: AzureStore, proxy: FaultyProxy, key: str, target: str
    ) -> None:
        proxy.faults.append(Fault("PUT", target, lose_answer=True))
        source = whole(3 * MIB if target else 5)
        assert in_blocks.upload(key, source) == in_blocks.head(key)
        assert fetched_sha256(in_blocks, key) == source.sha256

    def test_a_lost_answer_does_not_hide_a_real_conflict(self, store: AzureStore, proxy: FaultyProxy, key: str) -> None:
        store.create(key, b"theirs")
        proxy.faults.append(Fault("PUT", lose_answer=True))
        with pytest.raises(Conflict):
            store.create(key, b"ours..")
        assert store.read(key).body == b"theirs"

    def test_a_lost_answer_to_a_replace_is_no_conflict(self, store: AzureStore, proxy: FaultyProxy, key: str) -> None:
        store.create(key, b"1")
        version = store.read(key).version
        proxy.faults.append(Fault("PUT", lose_answer=True))
        assert store.replace(key, b"2", version).digest == store.head(key).digest
        with pytest.raises(Conflict):
            store.replace(key, b"3", version)

    @pytest.mark.parametrize(("size", "at"), [(10_000, 500), (3 * MIB, 500_000)])
    def test_a_flipped_byte_on_its_way_up_is_sent_again(
        self, in_blocks: AzureStore, proxy: FaultyProxy, key: str, size: int, at: int
    ) -> None:
        fault = Fault("PUT", flip_request=at)
        proxy.faults.append(fault)
        source = whole(size)
        in_blocks.upload(key, source)
        assert fault.struck
        assert fetched_sha256(in_blocks, key) == source.sha256

    def test_bytes_that_flip_every_time_are_corrupt(self, store: AzureStore, proxy: FaultyProxy, key: str) -> None:
        proxy.faults.append(Fault("PUT", times=99, flip_request=500))
        with pytest.raises(Corrupt, match="on the way"):
            store.upload(key, whole(1000))
        proxy.faults.clear()
        with pytest.raises(NotFound):
            store.head(key)

    def test_a_server_that_is_gone_is_retryable(self, server: Azurite, key: str) -> None:
        with pytest.raises(Retryable, match="no connection") as caught:
            opened(server, BUCKET, How(port=free_port())).create(key, b"")
        assert caught.value.hint


class TestBlocks:
    def test_a_large_object_goes_block_by_block(self, in_blocks: AzureStore, proxy: FaultyProxy, key: str) -> None:
        in_blocks.upload(key, whole(2 * MIB + 5))
        assert [proxy.seen("PUT", "comp=block&"), proxy.seen("PUT", "comp=blocklist")] == [3, 1]

    def test_a_block_that_breaks_off_is_sent_again_and_no_other(
        self, in_blocks: AzureStore, proxy: FaultyProxy, key: str
    ) -> None:
        proxy.faults.append(Fault("PUT", "comp=block&", spared=1, cut_request=300_000))
        source = whole(3 * MIB)
        in_blocks.upload(key, source)
        assert proxy.seen("PUT", "comp=block&") == 4
        assert fetched_sha256(in_blocks, key) == source.sha256

    @pytest.mark.parametrize("size", [0, 5, 2 * MIB])
    def test_the_blocks_of_an_upload_that_died_are_in_nobodys_way(
        self, in_blocks: AzureStore, key: str, size: int
    ) -> None:
        with pytest.raises(BrokenSourceError):
            in_blocks.upload(key, Pattern(9 * MIB, 5 * MIB, breaks=True))
        folder = key.rpartition("/")[0] + "/"
        assert keys_below(in_blocks, folder) == []
        source = whole(size)
        in_blocks.upload(key, source)
        assert fetched_sha256(in_blocks, key) == source.sha256
        with pytest.raises(Conflict):
            in_blocks.create(key, b"again")

    def test_who_comes_second_does_not_get_the_first_ones_blocks(
        self, server: Azurite, in_blocks: AzureStore, key: str
    ) -> None:
        """The end of an upload drops the blocks of another one to that key; what they then name is not there."""
        mine, theirs = whole(3 * MIB), whole(3 * MIB + 1)

        class Overtaken(Pattern):
            def chunks(self) -> Iterator[bytes]:
                for number, chunk in enumerate(super().chunks()):
                    if number == 2:
                        opened(server, BUCKET, How(storing=Storing(block=MIB))).upload(key, theirs)
                    yield chunk

        with pytest.raises(Conflict):
            in_blocks.upload(key, Overtaken(mine.size, mine.size))
        assert fetched_sha256(in_blocks, key) == theirs.sha256

    def test_there_are_never_too_many_blocks(self) -> None:
        storing = Storing()
        assert storing.block_for(1) == storing.block
        for size in (storing.block * 50_000, storing.block * 50_000 + 1, 5 << 40):
            assert -(-size // storing.block_for(size)) <= 50_000


class TestReading:
    @pytest.mark.parametrize("size", [100_000, 5 * MIB])
    @pytest.mark.parametrize("cut", [0, 70_000])
    def test_a_download_that_breaks_off_goes_on(
        self, store: AzureStore, proxy: FaultyProxy, key: str, size: int, cut: int
    ) -> None:
        source = whole(size)
        store.upload(key, source)
        proxy.faults.append(Fault("GET", cut_answer=cut))
        assert fetched_sha256(store, key) == source.sha256
        assert proxy.seen("GET") == 2

    def test_an_object_that_changes_meanwhile_is_corrupt(self, store: AzureStore, proxy: FaultyProxy, key: str) -> None:
        def rewritten() -> None:
            store.put(key, b"x" * 6 * MIB)

        store.upload(key, whole(5 * MIB))
        proxy.faults.append(Fault("GET", cut_answer=2 * MIB, then=rewritten))
        with pytest.raises(Corrupt, match="changed while it was read"):
            store.fetch(key, lambda _: None)

    def test_a_flipped_byte_of_a_small_object_is_read_again(
        self, store: AzureStore, proxy: FaultyProxy, key: str
    ) -> None:
        source = whole(100_000)
        store.upload(key, source)
        for _ in range(2):
            proxy.faults.append(Fault("GET", flip_answer=500))
        assert fetched_sha256(store, key) == source.sha256
        proxy.faults.append(Fault("GET", flip_answer=500))
        assert len(store.read(key).body) == 100_000

    def test_a_flipped_byte_of_a_large_object_is_corrupt(self, store: AzureStore, proxy: FaultyProxy, key: str) -> None:
        store.upload(key, whole(9 * MIB))
        proxy.faults.append(Fault("GET", flip_answer=5 * MIB))
        with pytest.raises(Corrupt, match="on the way"):
            store.fetch(key, lambda _: None)


@pytest.mark.parametrize(
    ("answer", "error", "hint"),
    [
        (refusal(403, "AuthenticationFailed"), Denied, "clock"),
        (refusal(403, "AuthorizationFailure"), Denied, "firewall"),
        (refusal(409, "BlobImmutableDueToPolicy"), Denied, "policy"),
        (refusal(412, "LeaseIdMissing"), Denied, "lease"),
        (refusal(409, "BlobArchived"), Refused, "Rehydrate"),
        (refusal(404, "ContainerNotFound"), NotFound, "bucket_name"),
        (refusal(400, "InvalidHeaderValue"), Misconfigured, "storage_class"),
    ],
)
def test_what_azure_says_becomes_what_an_operator_can_do(
    store: AzureStore, proxy: FaultyProxy, answer: bytes, error: type[BackupError], hint: str
) -> None:
    proxy.faults.append(Fault("PUT", times=9, answer=answer))
    with pytest.raises(error) as caught:
        store.put("told/a", b"")
    assert hint in caught.value.hint


def test_a_key_that_is_kept_by_a_policy_is_in_use(store: AzureStore, proxy: FaultyProxy, key: str) -> None:
    store.put(key, b"theirs")
    proxy.faults.append(Fault("PUT", answer=refusal(409, "BlobImmutableDueToPolicy")))
    with pytest.raises(Conflict):
        store.create(key, b"ours")


def test_a_container_that_is_not_there(server: Azurite) -> None:
    store = opened(server, "nothere")
    with pytest.raises(NotFound, match="no such container: nothere"):
        store.look()
    with pytest.raises(NotFound, match="no such container"):
        store.create("a", b"")
