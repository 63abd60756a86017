"""What an operator may meet on S3 and no setting can help: slow, busy, lying and forgetful stores, and large buckets."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from backupstore.errors import Corrupt, NotFound, Retryable
from backupstore.ports import ObjectStore
from backupstore.stores.http.pool import Wire
from backupstore.stores.http.retry import Patience
from backupstore.stores.probe import probe_compare_and_swap, probe_create_only
from backupstore.stores.s3.integrity import crc64, crc_text
from backupstore.stores.s3.store import S3Store
from tests.clocks import SettableClock
from tests.conformance.samples import MIB, fetched_sha256, whole
from tests.harness.faulty_proxy import Fault, FaultyProxy, refusal
from tests.harness.forgetful import without_conditions
from tests.harness.s3_servers import S3Server
from tests.harness.s3_stores import How, after_a_write, opened

BUCKET = "mishaps"
VERBS: dict[str, Callable[[ObjectStore, str], object]] = {
    "read": lambda store, _: store.read("there"),
    "fetch": lambda store, _: store.fetch("there", lambda _: None),
    "head": lambda store, _: store.head("there"),
    "list": lambda store, _: list(store.list("")),
    "create": lambda store, key: store.create(key, b"body"),
    "upload": lambda store, key: store.upload(key, whole(1000)),
    "upload in parts": lambda store, key: store.upload(key, whole(8 * MIB)),
    "delete": lambda store, key: store.delete([key]),
}


@pytest.fixture(scope="module")
def server(server: S3Server) -> S3Server:
    """With an object to be read."""
    opened(server, BUCKET).create("there", b"a body")
    return server


class WaitedOut(SettableClock):
    """Nobody really waits; when ``seconds`` of waiting have passed, the proxy behaves again."""

    def __init__(self, proxy: FaultyProxy, seconds: float) -> None:
        super().__init__(time.time())  # the server looks at it
        self._proxy = proxy
        self._end = self._running + seconds
        self.pauses: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        super().sleep(seconds)
        if self._running >= self._end:
            self._proxy.faults.clear()


def patient(server: S3Server, proxy: FaultyProxy, clock: SettableClock) -> S3Store:
    """The store behind the proxy, as patient as it is in earnest."""
    return after_a_write(opened(server, BUCKET, How(port=proxy.port, patience=Patience(), clock=clock)))


TROUBLE = {
    "busy": refusal(503, "SlowDown"),
    "broken": refusal(500, "InternalError"),
    "mute": b"",
    "gateway": b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 4\r\n\r\noops",
}


class TestAMinuteOfTrouble:
    @pytest.mark.parametrize("trouble", TROUBLE)
    @pytest.mark.parametrize("verb", VERBS)
    def test_it_is_waited_out_by_one_layer_of_retries(
        self, server: S3Server, proxy: FaultyProxy, key: str, verb: str, trouble: str
    ) -> None:
        answer = TROUBLE[trouble] or None
        clock = WaitedOut(proxy, 60)
        store = patient(server, proxy, clock)
        proxy.faults.append(Fault(times=10_000, answer=answer, lose_answer=answer is None))
        VERBS[verb](store, key)
        assert sum(clock.pauses) >= 60
        assert max(clock.pauses) <= 10
        first = (proxy.requests[0][0], proxy.requests[0][1])
        again = [one for one in proxy.requests if (one[0], one[1]) == first]
        assert 8 <= len(again) <= 20, "pauses that double, and no retry within a retry"

    @pytest.mark.parametrize("verb", VERBS)
    def test_longer_than_that_is_told(self, server: S3Server, proxy: FaultyProxy, key: str, verb: str) -> None:
        clock = WaitedOut(proxy, 1e9)
        store = patient(server, proxy, clock)
        proxy.faults.append(Fault(times=10_000, answer=refusal(503, "SlowDown")))
        with pytest.raises(Retryable, match=r"SlowDown|503") as caught:
            VERBS[verb](store, key)
        assert "concurrent_transfers" in caught.value.hint
        assert 60 < sum(clock.pauses) <= 95
        assert len(proxy.requests) == len(clock.pauses) + 1

    def test_pauses_differ_from_client_to_client(self, server: S3Server, proxy: FaultyProxy) -> None:
        pauses = []
        for _ in range(2):
            clock = WaitedOut(proxy, 30)
            proxy.faults.append(Fault(times=10_000, answer=refusal(503, "SlowDown")))
            patient(server, proxy, clock).read("there")
            pauses.append(clock.pauses)
        assert pauses[0] != pauses[1]


class TestSlowStores:
    @pytest.mark.parametrize("verb", VERBS)
    def test_an_answer_that_does_not_come_is_not_waited_for(
        self, server: S3Server, proxy: FaultyProxy, key: str, verb: str
    ) -> None:
        how = How(port=proxy.port, wire=Wire(read_timeout=0.2), patience=Patience(seconds=0, least=2))
        store = opened(server, BUCKET, how)
        proxy.faults.append(Fault(times=99, delay=3))
        with pytest.raises(Retryable, match="no answer in time") as caught:
            VERBS[verb](store, key)
        assert caught.value.hint
        assert len(proxy.requests) == 2


class TestLies:
    """A store that says that it has other bytes than those that were sent."""

    WRONG = b'HTTP/1.1 200 OK\r\netag: "0"\r\nx-amz-checksum-crc64nvme: AAAAAAAAAAA=\r\ncontent-length: 0\r\n\r\n'

    def test_what_is_not_there_after_all_is_no_success(self, server: S3Server, proxy: FaultyProxy, key: str) -> None:
        store = patient(server, proxy, WaitedOut(proxy, 1e9))
        proxy.faults.append(Fault("PUT", times=99, answer=self.WRONG))
        with pytest.raises(Corrupt) as caught:
            store.upload(key, whole(1000))
        assert caught.value.hint

    def test_what_is_there_as_it_was_sent_is_one(self, server: S3Server, proxy: FaultyProxy, key: str) -> None:
        store, source = patient(server, proxy, WaitedOut(proxy, 1e9)), whole(1000)
        opened(server, BUCKET).upload(key, source)
        proxy.faults.append(Fault("PUT", answer=self.WRONG))
        stored = store.upload(key, source)
        assert stored == store.head(key)

    def test_a_part_is_sent_again_and_then_given_up(self, server: S3Server, proxy: FaultyProxy, key: str) -> None:
        store = patient(server, proxy, WaitedOut(proxy, 1e9))
        proxy.faults.append(Fault("PUT", "partNumber=1", answer=self.WRONG))
        store.upload(key, whole(8 * MIB))
        assert fetched_sha256(store, key) == whole(8 * MIB).sha256
        proxy.faults.append(Fault("PUT", "partNumber=2", times=99, answer=self.WRONG))
        with pytest.raises(Corrupt):
            store.upload(f"{key}2", whole(8 * MIB))
        with pytest.raises(NotFound):
            store.head(f"{key}2")

    def test_a_whole_of_other_parts_is_no_success(self, server: S3Server, proxy: FaultyProxy, key: str) -> None:
        store = patient(server, proxy, WaitedOut(proxy, 1e9))
        body = b'<R><ETag>"0-2"</ETag><ChecksumCRC64NVME>AAAAAAAAAAA=</ChecksumCRC64NVME></R>'
        answer = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body
        proxy.faults.append(Fault("POST", "uploadId", times=99, answer=answer))
        with pytest.raises(Corrupt):
            store.upload(key, whole(8 * MIB))

    def test_bytes_that_are_not_those_of_the_checksum_are_not_read(self, server: S3Server, proxy: FaultyProxy) -> None:
        store = patient(server, proxy, WaitedOut(proxy, 1e9))
        right = crc_text(crc64(b"a body")).encode()
        answer = b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\nx-amz-checksum-crc64nvme: %s\r\n\r\na b0dy" % right
        proxy.faults.append(Fault("GET", times=99, answer=answer))
        with pytest.raises(Corrupt, match="on the way"):
            store.read("there")


class TestForgetfulStores:
    """Older Ceph and rclone take conditions, and ignore them."""

    def test_they_are_found_out(self, server: S3Server, proxy: FaultyProxy, key: str) -> None:
        store = opened(server, BUCKET, How(port=proxy.port))
        assert probe_create_only(store, f"{key}1", b"{}")
        assert probe_compare_and_swap(store, f"{key}2", "a")
        proxy.rewrite = without_conditions(server)
        assert not probe_create_only(store, f"{key}3", b"{}")
        assert not probe_compare_and_swap(store, f"{key}4", "a")


MILLION = """
import resource, sys, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit
from backupstore.stores.s3.endpoint import own
from backupstore.stores.s3.signing import Keys
from backupstore.stores.s3.store import S3Store
from tests.clocks import SettableClock
from tests.harness.s3_stores import FixedKeys

PAGES, EACH = 1000, 1000
OBJECT = (
    "<Contents><Key>node/data/ks/table-5a1c/nb-PAGE-{:03d}-big-Data.db</Key><LastModified>2026-03-01T12:00:00.000Z"
    "</LastModified><ETag>&quot;5d41402abc4b2a76b9719d911017c592&quot;</ETag><Size>{}</Size></Contents>"
)
OBJECTS = "".join(OBJECT.format(number, number) for number in range(EACH))

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        query = parse_qs(urlsplit(self.path).query)
        page = int(query.get("continuation-token", ["0"])[0])
        more = f"<NextContinuationToken>{page + 1}</NextContinuationToken>" if page + 1 < PAGES else ""
        objects = OBJECTS.replace("PAGE", f"{page:03d}")
        cut = "true" if more else "false"
        body = f"<ListBucketResult><IsTruncated>{cut}</IsTruncated>{more}{objects}</ListBucketResult>".encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass

with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
    threading.Thread(target=server.serve_forever, daemon=True).start()
    endpoint = own("bucket", "us-east-1", server.server_address, secure=False)
    store = S3Store(endpoint, FixedKeys(Keys("a", "s")), SettableClock())
    seen = after_some = 0
    last = ""
    for stored in store.list("node/"):
        assert last < stored.key and stored.size == seen % EACH
        last = stored.key
        seen += 1
        if seen == 20 * EACH:
            after_some = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(seen, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - after_some) // 1024)
    server.shutdown()
"""


def test_a_listing_of_a_million_keys_needs_no_memory() -> None:
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", MILLION], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    seen, grown = map(int, done.stdout.split())
    assert seen == 1_000_000
    assert grown < 8, "MiB, after the first pages"
