"""What libcloud's drivers and the network do to each other, and what becomes of it; and what drivers say of objects."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from libcloud.common import exceptions
from libcloud.common.types import InvalidCredsError, LibcloudError
from libcloud.storage import types

from backupstore.errors import Conflict, Corrupt, Denied, Misconfigured, NotFound, Retryable
from backupstore.stores.http.retry import Again
from backupstore.stores.libcloud.faults import translated
from backupstore.stores.libcloud.objects import modified_of
from backupstore.stores.libcloud.store import LibcloudStore
from backupstore.stores.probe import probe_compare_and_swap, probe_create_only
from tests.conformance.samples import MIB, fetched_sha256, keys_below, whole
from tests.harness.faulty_proxy import Fault, FaultyProxy, faulty_proxy
from tests.harness.libcloud_stores import How, opened
from tests.harness.s3_servers import S3Server, minio

BUCKET = "trouble"
DRIVER = "a driver"
STORAGE: Any = types  # without types of Python's
COMMON: Any = exceptions


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with minio(tmp_path_factory.mktemp("minio")) as running:
        running.bucket(BUCKET)
        yield running


@pytest.fixture
def proxy(server: S3Server) -> Iterator[FaultyProxy]:
    with faulty_proxy(server.host, server.port) as running:
        yield running


@pytest.fixture
def store(server: S3Server, proxy: FaultyProxy) -> LibcloudStore:
    return opened(server, BUCKET, How(port=proxy.port))


@pytest.fixture
def key() -> str:
    return f"{uuid.uuid4().hex}/a"


def test_it_says_that_it_has_no_conditions_and_is_not_probed(store: LibcloudStore, key: str) -> None:
    assert not probe_create_only(store, key, b"announced")
    assert store.read(key).body == b"announced", "what was to be written anyway is written"
    assert not probe_create_only(store, key, b"announced again")
    assert not probe_compare_and_swap(store, f"{key}-probe", "r")
    assert keys_below(store, key.rpartition("/")[0] + "/") == [key]


def test_a_cut_upload_is_sent_again(store: LibcloudStore, proxy: FaultyProxy, key: str) -> None:
    fault = Fault("PUT", cut_request=300_000)
    proxy.faults.append(fault)
    source = whole(3 * MIB)
    store.upload(key, source)
    assert fault.struck
    assert fetched_sha256(store, key) == source.sha256


def test_a_lost_answer_to_the_end_of_an_upload_is_no_conflict(
    store: LibcloudStore, proxy: FaultyProxy, key: str
) -> None:
    proxy.faults.append(Fault("POST", "uploadId", lose_answer=True))
    source = whole(MIB)
    store.upload(key, source)
    assert fetched_sha256(store, key) == source.sha256
    with pytest.raises(Conflict):
        store.create(key, b"")


@pytest.mark.parametrize(("size", "spared"), [(100_000, 0), (9 * MIB, 0), (9 * MIB, 1)])
def test_a_download_that_breaks_off_goes_on(
    store: LibcloudStore, proxy: FaultyProxy, key: str, size: int, spared: int
) -> None:
    source = whole(size)
    store.upload(key, source)
    fault = Fault("GET", spared=spared, cut_answer=90_000)
    proxy.faults.append(fault)
    assert fetched_sha256(store, key) == source.sha256
    assert fault.struck


def test_a_small_object_that_breaks_off_is_read_again(store: LibcloudStore, proxy: FaultyProxy, key: str) -> None:
    store.create(key, b"body")
    proxy.faults.append(Fault("GET", cut_answer=2))
    assert store.read(key).body == b"body"


@pytest.mark.parametrize("goes", [True, False])
def test_an_object_that_changes_or_goes_meanwhile_is_corrupt(store: LibcloudStore, key: str, *, goes: bool) -> None:
    got: list[bytes] = []

    def sink(piece: bytes) -> None:
        if not got:
            store.delete([key])
            if not goes:
                store.put(key, bytes(9 * MIB))
        got.append(piece)

    store.put(key, b"x" * (9 * MIB))
    with pytest.raises(Corrupt, match="changed while"):
        store.fetch(key, sink)


def test_a_delete_that_was_not_done_is_tried_again_and_told(store: LibcloudStore, proxy: FaultyProxy, key: str) -> None:
    store.create(key, b"")
    fine = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"  # which is not what S3 answers
    proxy.faults.append(Fault("DELETE", times=99, answer=fine))
    with pytest.raises(Retryable, match="did not delete"):
        store.delete([key])
    proxy.faults[:] = [Fault("DELETE", answer=fine)]
    store.delete([key])
    assert keys_below(store, key.rpartition("/")[0] + "/") == []


def test_a_listing_that_breaks_off_goes_on(
    server: S3Server, store: LibcloudStore, proxy: FaultyProxy, key: str
) -> None:
    folder = key.rpartition("/")[0] + "/"
    keys = [f"{folder}{number:05}" for number in range(1100)]
    with server.boto() as boto:
        for each in keys:
            boto.put_object(Bucket=BUCKET, Key=each, Body=b"")
    fault = Fault("GET", "prefix=", spared=1, cut_answer=1000)
    proxy.faults.append(fault)
    assert keys_below(store, folder) == keys
    assert fault.struck


def test_a_container_that_is_not_there(server: S3Server) -> None:
    nowhere = opened(server, "nothere")
    with pytest.raises(NotFound, match="no such container"):
        nowhere.look()
    with pytest.raises(NotFound, match="no such container"):
        list(nowhere.list(""))


@pytest.mark.parametrize(
    ("raised", "becomes"),
    [
        (STORAGE.ObjectDoesNotExistError("", DRIVER, "k"), NotFound),
        (STORAGE.ContainerDoesNotExistError("", DRIVER, "c"), NotFound),
        (InvalidCredsError("no"), Denied),
        (LibcloudError("Unexpected status code: 403"), Denied),
        (LibcloudError("Unknown error. Status code: 503"), Retryable),
        (LibcloudError("Unexpected status code, status_code=400"), Misconfigured),
        (COMMON.BaseHTTPError(500, "oops"), Retryable),
        (COMMON.RateLimitReachedError(), Retryable),
        (requests.exceptions.ConnectionError("reset"), Retryable),
        (requests.exceptions.SSLError("self-signed"), Misconfigured),
        (TimeoutError("slow"), Retryable),
        (STORAGE.ObjectHashMismatchError("differs", DRIVER, "k"), Corrupt),
        (KeyError("Can not deduce object size"), Misconfigured),
    ],
    ids=repr,
)
def test_what_drivers_raise_becomes_what_an_operator_can_do(raised: Exception, becomes: type[Exception]) -> None:
    error = translated(raised, "c at p", "head", "k")
    told = error.error if isinstance(error, Again) else error
    assert isinstance(told, becomes)
    assert told.hint


@pytest.mark.parametrize(
    ("extra", "modified"),
    [
        ({"last_modified": "2026-03-01T12:00:00.500Z"}, 1772366400.5),
        ({"last_modified": "2026-03-01T12:00:00.500000"}, 1772366400.5),
        ({"last_modified": "2026-03-01T13:00:00+01:00"}, 1772366400.0),
        ({"last_modified": "Sun, 01 Mar 2026 12:00:00 GMT"}, 1772366400.0),
        ({"uploadTimestamp": 1772366400500}, 1772366400.5),
        ({"modify_time": 1772366400.5}, 1772366400.5),
        ({"last_modified": "yesterday"}, 0.0),
        ({"last_modified": "2026-13-01T12:00:00Z"}, 0.0),
        ({}, 0.0),
    ],
    ids=repr,
)
def test_every_driver_says_in_its_own_way_when_it_was(extra: dict[str, object], modified: float) -> None:
    assert modified_of(extra) == modified
