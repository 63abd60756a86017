"""A byte that flips in what the store says: nothing on the way protects an answer over plain HTTP."""

from __future__ import annotations

import pytest

from backupstore.errors import Corrupt
from backupstore.stores.s3.documents import parse, upload_id_of
from backupstore.stores.s3.store import S3Store
from tests.conformance.samples import MIB, fetched_sha256, keys_below, whole
from tests.harness.faulty_proxy import Fault, FaultyProxy, refusal

BUCKET = "flips"


@pytest.mark.parametrize("at", range(0, 180, 9))
def test_a_listing_that_cannot_be_read_is_asked_for_again(
    store: S3Store, proxy: FaultyProxy, key: str, at: int
) -> None:
    store.create(key, b"body")
    proxy.faults.append(Fault("GET", "list-type", flip_answer=at, mask=0x40))
    folder = key.rpartition("/")[0]
    assert key in keys_below(store, f"{folder}/")
    assert not proxy.faults


def test_a_listing_that_can_never_be_read_is_corrupt(store: S3Store, proxy: FaultyProxy) -> None:
    proxy.faults.append(Fault("GET", "list-type", times=99, flip_answer=0))
    with pytest.raises(Corrupt) as caught:
        list(store.list(""))
    assert caught.value.hint
    assert proxy.seen("GET", "list-type") == 4


@pytest.mark.parametrize("encoding", [b"UTF-0", b"UTF-16", b"ebcdic-cp-be", b"x"])
def test_an_encoding_that_nobody_knows(encoding: bytes) -> None:
    with pytest.raises(Corrupt):
        parse(b'<?xml version="1.0" encoding="' + encoding + b'"?><Error/>')


@pytest.mark.parametrize("body", [b"<a><Key>k</Key></a>", b"<a><UploadId></UploadId></a>", b"<a><UploadId/></a>", b""])
def test_an_upload_without_an_id_is_none(body: bytes) -> None:
    """A part that is sent with an empty id would be an object."""
    with pytest.raises(Corrupt):
        upload_id_of(body)


def test_an_upload_whose_beginning_cannot_be_read_begins_again(store: S3Store, proxy: FaultyProxy, key: str) -> None:
    proxy.faults.append(Fault("POST", "uploads", flip_answer=0))
    source = whole(9 * MIB)
    store.upload(key, source)
    assert proxy.seen("POST", "uploads=") == 2
    assert fetched_sha256(store, key) == source.sha256


def test_the_digest_of_a_large_object_is_the_true_one(store: S3Store, proxy: FaultyProxy, key: str) -> None:
    """The manifest names it, and stock Medusa compares it. Each place of the answer in turn: somewhere in it is the ETag."""
    place = 0
    while True:
        fault = Fault("POST", "uploadId", flip_answer=place, mask=0x01)
        proxy.faults.append(fault)
        stored = store.upload(f"{key}{place}", whole(9 * MIB))
        assert stored.digest == store.head(f"{key}{place}").digest, place
        if not fault.struck:
            break  # the answer ends before that
        place += 6
    assert place > 300


@pytest.mark.parametrize("at", range(0, 300, 23))
def test_a_completion_that_changed_on_its_way_is_sent_again(
    store: S3Store, proxy: FaultyProxy, key: str, at: int
) -> None:
    proxy.faults.append(Fault("POST", "uploadId", flip_request=at, mask=0x01))
    source = whole(9 * MIB)
    store.upload(key, source)
    assert proxy.seen("POST", "uploadId=") == 2
    assert fetched_sha256(store, key) == source.sha256


def test_what_is_told_names_the_folder(store: S3Store, proxy: FaultyProxy) -> None:
    proxy.faults.append(Fault("GET", "list-type", times=99, answer=refusal(403, "AccessDenied")))
    with pytest.raises(Exception, match=r"list some/folder/: the store at .* forbids it"):
        list(store.list("some/folder/"))
    with pytest.raises(Exception, match=r"^list: the store at"):
        list(store.list(""))
