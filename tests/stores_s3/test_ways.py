"""The ways to an S3 store, and what lies in it: TLS, proxies, virtual hosts, encryption, checksums, ETags, caps."""

from __future__ import annotations

import base64
import hashlib
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from backupstore.clock import SystemClock
from backupstore.errors import BackupError, Conflict, Misconfigured, Retryable
from backupstore.stores.bandwidth import Bandwidth
from backupstore.stores.http.pool import Wire
from backupstore.stores.http.retry import Patience
from backupstore.stores.s3.endpoint import own
from backupstore.stores.s3.options import Encryption, Storing
from backupstore.stores.s3.signing import Keys
from backupstore.stores.s3.store import S3Store
from tests.clocks import SharedClock
from tests.conformance.samples import MIB, Pattern, fetched_sha256, keys_below, whole
from tests.harness import s3_servers
from tests.harness.faulty_proxy import Fault, FaultyProxy, faulty_proxy
from tests.harness.s3_servers import REGION, S3Server
from tests.harness.s3_stores import SMALL_PARTS, FixedKeys, How, opened

BUCKET = "ways"
DOMAIN = "s3.test"


@pytest.fixture(scope="module")
def encrypting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with s3_servers.minio(tmp_path_factory.mktemp("minio"), tls=True) as running:
        running.bucket(BUCKET)
        yield running


@pytest.fixture
def key(folder: str) -> str:
    """One that has to be encoded."""
    return f"{folder}a b+c%ü"


def round_trip(store: S3Store, key: str) -> None:
    source = whole(11 * MIB)
    stored = store.upload(key, source)
    assert stored.digest == store.head(key).digest
    assert fetched_sha256(store, key) == source.sha256
    store.create(f"{key}2", b"1")
    store.replace(f"{key}2", b"2", store.read(f"{key}2").version)
    assert store.read(f"{key}2").body == b"2"
    with pytest.raises(Conflict):
        store.create(f"{key}2", b"3")
    assert keys_below(store, key.rpartition("/")[0] + "/") == [key, f"{key}2"]
    store.delete([key, f"{key}2"])


class TestTls:
    def test_a_certificate_that_nobody_vouches_for_is_said_at_once(self, over_tls: S3Server) -> None:
        with pytest.raises(Misconfigured) as caught:
            opened(over_tls, BUCKET, How(wire=Wire())).head("a")
        assert "certificate" in str(caught.value)
        assert "ssl_verify" in caught.value.hint

    def test_it_can_be_believed_all_the_same(self, over_tls: S3Server, key: str) -> None:
        round_trip(opened(over_tls, BUCKET, How(wire=Wire(verify=False))), key)

    def test_a_server_without_tls_is_said(self, server: S3Server, over_tls: S3Server) -> None:
        with pytest.raises(Misconfigured, match="TLS"):
            opened(replace(server, authority=over_tls.authority), BUCKET).head("a")

    def test_a_server_with_tls_is_no_plain_one(self, over_tls: S3Server) -> None:
        with pytest.raises((Misconfigured, Retryable)):
            opened(replace(over_tls, authority=None), BUCKET, How(patience=Patience(seconds=0.1))).read("a")

    def test_authorities_that_are_none_are_said(self, over_tls: S3Server, tmp_path: Path) -> None:
        (tmp_path / "ca.pem").write_text("nothing")
        for file in ("ca.pem", "absent"):
            with pytest.raises(Misconfigured, match=file):
                opened(over_tls, BUCKET, How(wire=Wire(ca_file=tmp_path / file)))


class TestProxies:
    def test_plain_requests_go_through(self, server: S3Server, proxy: FaultyProxy, key: str) -> None:
        url = f"http://some%40body:secret@127.0.0.1:{proxy.port}"
        round_trip(opened(server, BUCKET, How(wire=Wire(proxy=url))), key)
        assert {target[:7] for _, target, _ in proxy.requests} == {"http://"}
        said = {headers["proxy-authorization"] for _, _, headers in proxy.requests}
        assert said == {"Basic c29tZUBib2R5OnNlY3JldA=="}

    def test_tls_goes_through_a_tunnel(self, over_tls: S3Server, key: str) -> None:
        with faulty_proxy(over_tls.host, over_tls.port) as proxy:
            wire = Wire(proxy=f"http://127.0.0.1:{proxy.port}", ca_file=over_tls.authority)
            round_trip(opened(over_tls, BUCKET, How(wire=wire)), key)
            assert {method for method, _, _ in proxy.requests} == {"CONNECT"}

    def test_a_tunnel_that_is_refused_is_said(self, over_tls: S3Server) -> None:
        with faulty_proxy(over_tls.host, over_tls.port) as proxy:
            proxy.faults.append(Fault("CONNECT", times=99, answer=b"HTTP/1.1 407 Who?\r\ncontent-length: 0\r\n\r\n"))
            wire = Wire(proxy=f"http://127.0.0.1:{proxy.port}", ca_file=over_tls.authority)
            with pytest.raises(Retryable, match="407"):
                opened(over_tls, BUCKET, How(wire=wire, patience=Patience(seconds=0.1))).head("a")


def test_virtual_host_style(tmp_path: Path, key: str) -> None:
    with s3_servers.versitygw(tmp_path, domain=DOMAIN) as running:
        running.bucket(BUCKET)
        endpoint = own(BUCKET, REGION, (DOMAIN, running.port), secure=False, style="virtual")
        assert endpoint.authority == f"ways.{DOMAIN}:{running.port}"
        near = replace(endpoint, host=running.host)  # no name server knows the domain
        round_trip(
            S3Store(near, FixedKeys(Keys(running.access, running.secret)), SystemClock(), storing=SMALL_PARTS), key
        )


class TestEncryption:
    @pytest.mark.timeout(1800)  # the first test may have to build the server
    @pytest.mark.parametrize(
        "encryption",
        [
            Encryption(by_store=True),
            Encryption(kms_id="testkey"),
            Encryption(customer_key="MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="),
        ],
        ids=["by store", "KMS", "customer"],
    )
    def test_objects_come_back(self, encrypting: S3Server, key: str, encryption: Encryption) -> None:
        store = opened(encrypting, BUCKET, How(storing=replace(SMALL_PARTS, encryption=encryption)))
        round_trip(store, key)
        created = store.create(key, b"secret")
        seen = [created, store.head(key), store.fetch(key, lambda _: None), *store.list(key.rpartition("/")[0] + "/")]
        assert len({stored.digest for stored in seen}) == 1, (
            "what is remembered of an object is found again in a listing"
        )
        is_md5 = created.digest == hashlib.md5(b"secret", usedforsecurity=False).hexdigest()
        assert is_md5 is encryption.by_store
        assert [stored.opaque for stored in seen] == [not is_md5, not is_md5, not is_md5, False]
        with encrypting.boto() as boto:
            if encryption.customer_key:
                with pytest.raises(boto.exceptions.ClientError):
                    boto.head_object(Bucket=BUCKET, Key=key)
            else:
                wanted = "aws:kms" if encryption.kms_id else "AES256"
                assert boto.head_object(Bucket=BUCKET, Key=key)["ServerSideEncryption"] == wanted

    @pytest.mark.timeout(1800)
    def test_without_the_customers_key_nothing_can_be_read(self, encrypting: S3Server, key: str) -> None:
        mine, others = (base64.b64encode(bytes([number]) * 32).decode() for number in (1, 2))
        opened(encrypting, BUCKET, How(storing=Storing(encryption=Encryption(customer_key=mine)))).create(
            key, b"secret"
        )
        for encryption in (Encryption(), Encryption(customer_key=others)):
            store = opened(encrypting, BUCKET, How(storing=Storing(encryption=encryption)))
            for look in (store.read, store.head):
                with pytest.raises(BackupError) as caught:
                    look(key)
                assert caught.value.hint
                assert mine not in caught.value.explained

    @pytest.mark.timeout(1800)
    def test_a_key_that_the_store_does_not_know_is_said(self, encrypting: S3Server, key: str) -> None:
        store = opened(encrypting, BUCKET, How(storing=Storing(encryption=Encryption(kms_id="absent"))))
        with pytest.raises(Misconfigured, match="KeyNotFound"):
            store.create(key, b"")


def test_the_storage_class_goes_with_what_creates_objects(server: S3Server, proxy: FaultyProxy, key: str) -> None:
    store = opened(server, BUCKET, How(port=proxy.port, storing=replace(SMALL_PARTS, storage_class="STANDARD")))
    store.create(key, b"")
    store.upload(f"{key}2", whole(9 * MIB))
    said = {(method, target.partition("?")[2][:7]): headers for method, target, headers in proxy.requests}
    assert said["PUT", ""]["x-amz-storage-class"] == "STANDARD"
    assert said["POST", "uploads"]["x-amz-storage-class"] == "STANDARD"
    assert "x-amz-storage-class" not in said["PUT", "partNum"]


@pytest.mark.parametrize("way", ["up", "down"])
def test_the_cap_on_bandwidth_holds(server: S3Server, key: str, way: str) -> None:
    clock = SharedClock()
    slow = opened(server, BUCKET, How(wire=Wire(bandwidth=Bandwidth(8 * MIB, clock))))
    sources = [whole(2 * MIB), whole(10 * MIB)]
    if way == "down":
        for number, source in enumerate(sources):
            opened(server, BUCKET).upload(f"{key}{number}", source)

    def move(number: int, source: Pattern) -> None:
        if way == "up":
            slow.upload(f"{key}{number}", source)
        else:
            slow.fetch(f"{key}{number}", lambda _: None)

    begun = clock.running()
    threads = [threading.Thread(target=move, args=pair) for pair in enumerate(sources)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert clock.running() - begun >= 12 / 8 - 0.2, "all but the last pieces have waited for their place"
    assert slow.head(f"{key}1").size == 10 * MIB


HEAVY = """
import resource, sys
from collections.abc import Iterator
from tests.harness.s3_servers import S3Server
from tests.harness.s3_stores import How, opened
from backupstore.stores.s3.options import Storing

MIB = 1 << 20

class Sparse:
    size = 1024 * MIB
    def chunks(self):
        return (bytes(MIB) for _ in range(1024))

server = S3Server(int(sys.argv[1]), sys.argv[2], sys.argv[3])
store = opened(server, sys.argv[4], How(storing=Storing(part_size=16 * MIB, memory=64 * MIB)))
store.create("heavy/warm", b"")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
store.upload("heavy/a", Sparse())
up = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
taken = 0
def sink(piece):
    global taken
    taken += len(piece)
store.fetch("heavy/a", sink)
assert taken == Sparse.size
store.delete(["heavy/a"])
print((up - before) // 1024, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def test_memory_is_bounded_whatever_the_size(server: S3Server) -> None:
    command = [sys.executable, "-c", HEAVY, str(server.port), server.access, server.secret, BUCKET]
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    up, both = map(int, done.stdout.split())
    assert up < 64 + 48
    assert both < 64 + 64
