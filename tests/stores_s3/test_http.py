"""The HTTP layer under S3: what an answer may look like, where it ends, and when a connection can be used again."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import replace

import pytest

from backupstore.errors import Conflict, Denied, Misconfigured, Retryable
from backupstore.stores.http.pool import Wire
from backupstore.stores.http.retry import Patience
from backupstore.stores.s3.endpoint import own
from backupstore.stores.s3.integrity import crc64, crc_text
from backupstore.stores.s3.options import Storing
from backupstore.stores.s3.signing import Keys
from backupstore.stores.s3.store import S3Store
from tests.clocks import SettableClock
from tests.conformance.samples import MIB, fetched_sha256, whole
from tests.harness.faulty_proxy import refusal
from tests.harness.s3_servers import REGION, S3Server
from tests.harness.s3_stores import FixedKeys, How, after_a_write, opened
from tests.harness.scripted_server import Scripted, scripted_server

BUCKET = "http"
ONCE = Patience(seconds=0, least=1)


def store_at(script: Scripted, patience: Patience = ONCE) -> S3Store:
    endpoint = own("bucket", REGION, (script.host, script.port), secure=False)
    return after_a_write(S3Store(endpoint, FixedKeys(Keys("a", "s")), SettableClock(), wire=Wire(patience=patience)))


def ok(body: bytes, *headers: bytes) -> bytes:
    return b"\r\n".join([b"HTTP/1.1 200 OK", b'etag: "e"', *headers, b"", body])


def sized(body: bytes, *headers: bytes) -> bytes:
    return ok(body, b"content-length: %d" % len(body), *headers)


CHUNKED = b"Transfer-Encoding: Chunked"


class TestBodies:
    @pytest.mark.parametrize(
        "answer",
        [
            sized(b"a body"),
            ok(b"2\r\na \r\n4\r\nbody\r\n0\r\n\r\n", CHUNKED),
            ok(b"2;name=value\r\na \r\n004\r\nbody\r\n0\r\n\r\n", CHUNKED),
            ok(b"6\r\na body\r\n0\r\nx-amz-checksum-crc32: AAAA\r\nx-other: 1\r\n\r\n", CHUNKED),
            ok(b"", b"x-1: 2", b"Content-LENGTH:6 ") + b"a body",
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nlink: x\r\n\r\n" + sized(b"a body"),
            sized(b"a body", b"content-length: 6"),
        ],
    )
    def test_it_is_read_to_its_end_and_the_connection_used_again(self, answer: bytes) -> None:
        with scripted_server([answer, sized(b"next")]) as script:
            store = store_at(script)
            assert store.read("a").body == b"a body"
            assert store.read("b").body == b"next"
            assert script.opened == 1

    @pytest.mark.parametrize(
        "answer",
        [
            sized(b"a body", b"connection: close"),
            sized(b"a body").replace(b"HTTP/1.1", b"HTTP/1.0"),
            sized(b"a body") + b"and more that nobody asked for",
        ],
    )
    def test_a_connection_in_doubt_is_not_used_again(self, answer: bytes) -> None:
        with scripted_server([answer, b"never"], [sized(b"next")]) as script:
            store = store_at(script)
            assert store.read("a").body == b"a body"
            assert store.read("b").body == b"next"
            assert script.opened == 2

    @pytest.mark.parametrize(
        "answer",
        [
            sized(b"a body")[:-1],
            ok(b"a body"),
            ok(b"a body").replace(b"HTTP/1.1", b"HTTP/1.0"),
            ok(b"a body", b"content-length: 7", b"content-length: 6"),
            ok(b"a body", b"content-length: -6"),
            ok(b"a body", b"content-length: 0x6"),
            ok(b"a body", b"content-length: 6, 6"),
            ok(b"a body", b"content-length: 6", b"transfer-encoding: gzip"),
            ok(b"6\r\na body\r\n0\r\n\r\n", b"transfer-encoding: gzip, chunked"),
            ok(b"6\r\na body\r\n0\r\n\r\n", CHUNKED, b"content-length: 6"),
            ok(b"6\r\na body\r\n0\r\n\r\n", CHUNKED, b"content-length: 0"),
            ok(b"6\r\na body\r\n0\r\n\r\n", b"transfer-encoding: identity", CHUNKED),
            ok(b"6\r\na body\r\n", CHUNKED),
            ok(b"6\r\na body\r\n0\r\n", CHUNKED),
            ok(b"6\r\na body", CHUNKED),
            ok(b"g\r\na body\r\n0\r\n\r\n", CHUNKED),
            ok(b"-6\r\na body\r\n0\r\n\r\n", CHUNKED),
            ok(b"+6\r\na body\r\n0\r\n\r\n", CHUNKED),
            ok(b"6\r\na bodyXX0\r\n\r\n", CHUNKED),
            sized(b"a body", b" folded: line"),
            sized(b"a body", b"name : value"),
            sized(b"a body", b": value"),
            b"HTTP/1.1 200\r\n",
            b"HTTP/2 200 OK\r\n\r\n",
            b"",
            b"HTTP/1.1 200 OK\r\nx: " + b"y" * (1 << 20),
        ],
        ids=lambda answer: repr(answer[:70]),
    )
    def test_one_whose_end_is_in_doubt_is_no_answer(self, answer: bytes) -> None:
        with scripted_server([answer]) as script, pytest.raises(Retryable) as caught:
            store_at(script).read("a")
        assert "connection" in caught.value.message

    def test_a_document_without_an_end_is_given_up(self) -> None:
        body = b"<a>" * (11 << 20)
        with scripted_server([sized(body)]) as script, pytest.raises(Retryable, match="without an end"):
            list(store_at(script).list(""))


class TestConnections:
    def test_one_that_was_closed_while_it_lay_idle_is_replaced(self) -> None:
        with scripted_server([sized(b"1")], [sized(b"2")]) as script:
            store = store_at(script, Patience(seconds=0, least=2))
            assert store.read("a").body == b"1"
            assert store.read("a").body == b"2"
            assert script.opened == 2

    def test_a_write_on_one_that_was_closed_is_made_once_more_and_looked_after(self) -> None:
        """The first may have arrived: a refusal of the second is compared with what lies there."""
        body = b"a body"
        there = b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\nx-amz-checksum-crc64nvme: %s\r\n\r\n"
        ours = there % crc_text(crc64(body)).encode()
        theirs = there % crc_text(crc64(b"theirs")).encode()
        for found, is_ours in ((ours, True), (theirs, False)):
            with scripted_server([sized(b"1")], [refusal(412, "PreconditionFailed"), found]) as script:
                store = store_at(script, Patience(seconds=0, least=2))
                store.read("warm")
                if is_ours:
                    assert store.create("a", body).size == len(body)
                else:
                    with pytest.raises(Conflict, match="already"):
                        store.create("a", body)
                assert [head.split(b" ")[0] for head in script.heads] == [b"GET", b"PUT", b"HEAD"]

    def test_an_early_refusal_of_a_large_body_is_heard(self) -> None:
        """The server says no and hangs up while bytes are on their way; asked again, it says so before they are sent."""
        answer = refusal(403, "AccessDenied")
        patience = Patience(seconds=0, least=3)
        with scripted_server([answer], [answer], [answer], deaf=True) as script, pytest.raises(Denied):
            store_at(script, patience).upload("a", whole(12 * MIB))
        expecting = [b"\r\nexpect: 100-continue" in head for head in script.heads]
        assert expecting in ([False], [False, True]), "at once where the answer came through, else the second time"

    def test_a_server_that_does_not_know_100_continue_gets_the_body_all_the_same(self) -> None:
        with scripted_server([refusal(503, "SlowDown", "connection: close")], [sized(b"")]) as script:
            store_at(script, Patience(seconds=0, least=2)).upload("a", whole(2 * MIB))
        assert [b"\r\nexpect: 100-continue" in head for head in script.heads] == [False, True]
        assert script.bodies == [2 * MIB, 2 * MIB]

    def test_ipv6(self) -> None:
        with scripted_server([sized(b"a body")], host="::1") as script:
            assert store_at(script).read("a").body == b"a body"
        assert b"\r\nhost: [::1]:%d\r\n" % script.port in script.heads[0]


class TestTls:
    def test_a_name_that_the_certificate_does_not_have_is_refused(self, over_tls: S3Server, key: str) -> None:
        opened(replace(over_tls, host="localhost"), BUCKET).create(key, b"")
        with pytest.raises(Misconfigured, match="certificate"):
            opened(replace(over_tls, host="127.1"), BUCKET).read(key)

    def test_large_objects_over_tls(self, over_tls: S3Server, key: str) -> None:
        store = opened(over_tls, BUCKET, How(storing=Storing(threshold=8 * MIB, part_size=5 * MIB)))
        source = whole(21 * MIB)
        store.upload(key, source)
        assert fetched_sha256(store, key) == source.sha256

    @pytest.fixture
    def silent(self) -> Iterator[int]:
        """Something that listens and never says a word."""
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            yield listener.getsockname()[1]

    @pytest.mark.parametrize("secure", [True, False])
    def test_a_server_that_never_answers_is_given_up(self, silent: int, *, secure: bool) -> None:
        endpoint = own("bucket", REGION, ("127.0.0.1", silent), secure=secure)
        wire = Wire(connect_timeout=0.2, read_timeout=0.2, patience=Patience(seconds=0, least=2))
        store = S3Store(endpoint, FixedKeys(Keys("a", "s")), SettableClock(), wire=wire)
        with pytest.raises(Retryable) as caught:
            store.read("a")
        assert caught.value.hint
