"""What fuzzing found, each by itself: how it could be done, and that it is refused or read now."""

from __future__ import annotations

import json
import tracemalloc

import pytest

from backupstore.core.cloud_events import pushed_of
from backupstore.core.coverage import Gap, Holder, gaps
from backupstore.core.documents import Announcement, ClusterBackup, decode
from backupstore.core.key_parsing import parse
from backupstore.core.keys import Parsed, RowKey
from backupstore.core.manifest import read_manifest
from backupstore.core.notifications import read_notification
from backupstore.core.replication import Replication, replications
from backupstore.core.sstables import check_sstable
from backupstore.core.tokenmap import RingMember
from backupstore.errors import Corrupt
from backupstore.stores.http.head import BadAnswer, read_head
from backupstore.stores.http.retry import Again
from backupstore.stores.http.times import http_time
from backupstore.stores.s3 import documents
from backupstore.stores.s3.endpoint import amazon
from backupstore.stores.s3.faults import error_of, fault_of

LARGE = 1 << 18


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "9" * 400])
def test_a_time_that_is_no_number_is_corrupt(number: str) -> None:
    with pytest.raises(Corrupt, match="at: "):
        decode(Announcement, f'{{"format":1,"attempt":1,"at":{number}}}'.encode(), "k")


def test_a_name_in_a_document_does_not_reach_the_terminal_as_it_is() -> None:
    body = {"format": 1, "revision": "r", "name": "b", "nodes": {"\x1b[31m\nall is well" + "x" * 5000: {}}}
    with pytest.raises(Corrupt) as caught:
        decode(ClusterBackup, json.dumps(body).encode(), "k")
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-16"])
def test_no_encoding_hides_a_document_type(encoding: str) -> None:
    body = '<!DOCTYPE a [<!ENTITY x "expanded">]><Error><Code>&x;</Code></Error>'.encode(encoding)
    with pytest.raises(Corrupt):
        documents.parse(body)


@pytest.mark.parametrize(
    ("size", "time"), [("9" * 5000, "2026-03-01T12:00:00Z"), ("1", "2026-03-01T12:00:00.1e999Z"), ("٣" * 5000, "x")]
)
def test_a_listing_with_a_number_beyond_all_bounds_is_corrupt(size: str, time: str) -> None:
    inner = f"<Contents><Key>a</Key><Size>{size}</Size><LastModified>{time}</LastModified></Contents>"
    with pytest.raises(Corrupt):
        documents.page_of(f"<ListBucketResult>{inner}</ListBucketResult>".encode())


def test_the_year_nought_is_no_time() -> None:
    assert http_time("Sun, 01 Jan 0000 00:00:00 GMT") == 0.0


def test_a_length_beyond_all_bounds_is_no_answer() -> None:
    with pytest.raises(BadAnswer, match="no number"):
        read_head(f"HTTP/1.1 200 OK\r\nContent-Length: {'9' * 5000}", head_only=False, last=False)


@pytest.mark.parametrize(
    "body",
    [
        b"<html>\x1b[31mProxy\x07</html>",
        "<Error><Code>Nope</Code><Message>two\nlines\u2028\u202e</Message></Error>".encode(),
        b"<Error><Code>Nope</Code><Message>" + b"x" * 100_000 + b"</Message></Error>",
    ],
)
def test_what_a_server_says_fits_in_a_line(body: bytes) -> None:
    error = error_of(fault_of(400, {}, body), "read", "k", amazon("b", "r"))
    assert not isinstance(error, Again)
    assert str(error).isprintable()
    assert len(str(error)) < 1000


def test_a_time_with_a_nought_before_it_is_no_key_of_stocks() -> None:
    assert parse("p/index/backup_index/b/started_n1_8.timestamp") == Parsed("p", RowKey("b", "started", "n1", 8))
    assert parse("p/index/backup_index/b/started_n1_08.timestamp") is None


@pytest.mark.parametrize("digest", ["\x1f57890", "57890\x1c", "\u300057890\n"])
def test_a_digest_between_odd_spaces_is_read(digest: str) -> None:
    found = check_sstable(frozenset({"Data.db"}), toc=None, digest=digest, data_crc32=7)
    assert "Data.db has the CRC 7, Digest.crc32 says 57890" in {problem.why for problem in found}


@pytest.mark.parametrize("cut", [1, 7, 69, 1000])
def test_what_is_told_of_a_manifest_with_two_faults_does_not_depend_on_how_it_comes(cut: int) -> None:
    body = b'[{"keyspace": "ks", "columnfamily": "t", "objects": [{"path": "a", "MD5": null}\xf1\xf1]}]'
    with pytest.raises(Corrupt, match="'size' is not a number of bytes"):
        list(read_manifest((body[at : at + cut] for at in range(0, len(body), cut)), "k"))


def deep(levels: int) -> object:
    message: object = "x"
    for _ in range(levels):
        message = [message]
    return {"x": message}


def test_a_message_nested_as_deeply_as_can_be_is_told() -> None:
    told = read_notification(deep(100_000))
    assert len(told.unreadable) == 1
    assert not told.events
    with pytest.raises(Corrupt):
        pushed_of(deep(100_000))
    assert pushed_of({"message": {"messageId": deep(100_000)}}).id == ""


@pytest.mark.parametrize("unit", ["'", '"', "(", "/*", "*", "$", "CREATE KEYSPACE "])
def test_a_schema_of_one_thing_takes_no_more_than_a_few_times_its_length(unit: str) -> None:
    schema = "CREATE KEYSPACE a WITH replication = {" + unit * (LARGE // len(unit))
    tracemalloc.start()
    try:
        found = replications(schema)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found["a"].strategy == ""
    assert peak < 16 * LARGE


def test_a_ring_whose_tokens_lie_in_heaps_costs_no_more_than_another() -> None:
    ring = {f"n{at}": RingMember(tuple(range(at * 20_000, (at + 1) * 20_000)), "r1", "dc1") for at in range(3)}
    two = Replication("SimpleStrategy", (("replication_factor", "2"),))
    assert gaps([Holder(name, ring, {"ks": two}) for name in ring]) == ()
    assert gaps([Holder("n0", ring, {"ks": two})]) == (
        Gap("ks", "20000 of 60000 token ranges are in no node backup; they were held by n1, n2"),
    )
