"""Webhooks at the door: who comes in, what is kept, and what strangers can do to those who come after them."""

from __future__ import annotations

import base64
import json
import logging
import random
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http.client import HTTPConnection
from urllib.parse import quote

import pytest

from backupstore.clock import SystemClock
from backupstore.core.events import ObjectEvent
from backupstore.errors import Misconfigured
from backupstore.ports import Clock
from backupstore.settings.kinds import ListenAddress
from shipper.bounded_http import Bounds
from shipper.inbox import Inbox, InboxWatcher
from shipper.watching import EventsLost
from shipper.webhooks import Door, Webhooks
from tests.clocks import SettableClock
from tests.harness.s3_servers import free_port
from tests.shipper.cli.program import until

SECRET = "s3cr/t+ß &%?"
KEY = "p/n1/b/meta/manifest.json"


def message(key: str = KEY, bucket: str = "backups") -> bytes:
    return json.dumps({"Records": [{"s3": {"bucket": {"name": bucket}, "object": {"key": key}}}]}).encode()


@dataclass(frozen=True)
class Listening:
    """A door, and what came in."""

    port: int
    inbox: Inbox

    def send(
        self, body: bytes = b"", target: str = "/", method: str = "POST", headers: dict[str, str] | None = None
    ) -> tuple[int, bytes]:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, target, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    @contextmanager
    def raw(self) -> Iterator[socket.socket]:
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as connection:
            yield connection

    def came(self) -> set[str]:
        return {event.key for event in self.inbox.take(0)[0]}


@contextmanager
def listening(door: Door, capacity: int = 100, clock: Clock | None = None) -> Iterator[Listening]:
    port = free_port()
    inbox = Inbox(capacity)
    webhooks = Webhooks(replace(door, address=ListenAddress(door.address.host, port)), inbox, clock or SystemClock())
    webhooks.open()
    try:
        yield Listening(port, inbox)
    finally:
        webhooks.close()


def door(secret: str | None = SECRET, bounds: Bounds | None = None) -> Door:
    return Door(ListenAddress("127.0.0.1", 0), secret, "backups", bounds or Bounds())


@pytest.fixture
def guarded() -> Iterator[Listening]:
    with listening(door()) as made:
        yield made


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"}


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret.encode().decode('latin-1')}"}


GOOD = {
    "versitygw and Ceph: in the URL": ("/", basic("any", SECRET)),
    "no user": ("/", basic("", SECRET)),
    "a query": (f"/?secret={quote(SECRET, safe='')}", {}),
    "a query among others": (f"/events?x=1&secret={quote(SECRET, safe='')}&y", {}),
    "a path": (f"/{quote(SECRET, safe='')}", {}),
    "a longer path": (f"/events/{quote(SECRET, safe='')}", {}),
}


@pytest.mark.parametrize(("target", "headers"), GOOD.values(), ids=GOOD)
def test_the_secret_may_come_in_any_form(guarded: Listening, target: str, headers: dict[str, str]) -> None:
    assert guarded.send(message(), target, headers=headers) == (204, b"")
    assert guarded.came() == {KEY}


@pytest.mark.parametrize("authorization", ["Bearer plain-0123", "bearer  plain-0123 ", "plain-0123"])
def test_a_token_as_minio_sends_it(authorization: str) -> None:
    with listening(door("plain-0123")) as guarded:
        assert guarded.send(message(), headers={"Authorization": authorization})[0] == 204
        assert guarded.came() == {KEY}


BAD = {
    "nothing": ("/", {}),
    "a wrong token": ("/", bearer("wrong-one")),
    "half of it": ("/", bearer(SECRET[:5])),
    "as the user": ("/", basic(SECRET, "")),
    "no base64": ("/", {"Authorization": "Basic wrong-one"}),
    "another query": ("/?token=wrong-one", {}),
    "an empty query": ("/?secret=", {}),
    "a wrong path": ("/wrong-one", {}),
    "not the last part": (f"/{quote(SECRET, safe='')}/events", {}),
}


@pytest.mark.parametrize(("target", "headers"), BAD.values(), ids=BAD)
def test_without_the_secret_nothing_comes_in(
    guarded: Listening, caplog: pytest.LogCaptureFixture, target: str, headers: dict[str, str]
) -> None:
    status, said = guarded.send(message(), target, headers=headers)
    assert (status, guarded.came()) == (401, set())
    (line,) = caplog.messages
    assert line == "webhook of 127.0.0.1 refused: the secret is missing or wrong"
    assert b"wrong-one" not in said


def test_who_sends_much_without_the_secret_is_answered(guarded: Listening) -> None:
    assert guarded.send(message() + b" " * 1_000_000, headers=bearer("wrong-one"))[0] == 401


def test_who_is_refused_may_send_to_the_end(guarded: Listening) -> None:
    """Closed before that, the connection would be reset, and the answer lost with it."""
    piece = b" " * 1000
    with guarded.raw() as connection:
        connection.sendall(b"POST /wrong-one HTTP/1.1\r\nContent-Length: 20000\r\n\r\n")
        answer = connection.recv(1000)
        for _ in range(20):
            connection.sendall(piece)
            time.sleep(0.005)
        while more := connection.recv(1000):
            answer += more
    assert answer.startswith(b"HTTP/1.1 401 ")


def test_what_comes_after_its_time_is_not_read(caplog: pytest.LogCaptureFixture) -> None:
    with listening(door(None), clock=SettableClock(step=20)) as late, late.raw() as connection:
        connection.sendall(b"POST / HTTP/1.1\r\n")
        assert connection.recv(1000) == b""
    until(lambda: "it took too long" in caplog.text)


def test_no_secret_is_ever_logged(guarded: Listening, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    secret = quote(SECRET, safe="")
    for method in ("POST", "GET", "PUT", "OPTIONS", "BREW"):
        for body in (message(), b"{", b""):
            guarded.send(body, f"/{secret}?secret={secret}", method, basic("u", SECRET))
    with guarded.raw() as connection:
        connection.sendall(f"POST /{secret} {secret} HTTP/1.1\r\n\r\n".encode())
        while connection.recv(1000):
            pass
    assert caplog.messages
    assert not [line for line in caplog.messages if SECRET in line or secret in line]


def test_on_loopback_no_secret_is_needed() -> None:
    with listening(door(None)) as open_door:
        assert open_door.send(message())[0] == 204
        assert open_door.came() == {KEY}


def test_what_says_nothing_of_backups_takes_no_room(guarded: Listening) -> None:
    for number in range(200):
        body = message(f"p/n1/data/ks/t/nb-{number}-big-Data.db")
        assert guarded.send(body, headers=basic("u", SECRET))[0] == 204
    assert guarded.send(message(bucket="other"), headers=basic("u", SECRET))[0] == 204
    assert guarded.inbox.take(0) == ([], False)


@pytest.mark.parametrize("body", [b"{", b"", b"\xff", b"[1, 2]", b"{}", b"[" * 100_000])
def test_what_makes_no_sense_is_logged_and_taken_for_it_would_come_again(
    guarded: Listening, caplog: pytest.LogCaptureFixture, body: bytes
) -> None:
    assert guarded.send(body, headers=basic("u", SECRET))[0] == 204
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert caplog.messages[0].startswith("a webhook of 127.0.0.1 is no ")


def test_the_readable_part_counts(guarded: Listening) -> None:
    body = b'{"Records": [1, ' + message()[len(b'{"Records": [') :]
    assert guarded.send(body, headers=basic("u", SECRET))[0] == 204
    assert guarded.came() == {KEY}


@pytest.mark.parametrize("event", [b'{"Event": "s3:TestEvent", "Service": "S3"}', b'{"Records": []}'])
def test_a_test_event_is_fine(guarded: Listening, caplog: pytest.LogCaptureFixture, event: bytes) -> None:
    assert guarded.send(event, headers=basic("u", SECRET))[0] == 204
    assert not caplog.messages


def test_a_full_inbox_says_so_and_everything_is_compared() -> None:
    with listening(door(None), capacity=2) as small:
        bodies = [message(f"p/n1/b{number}/meta/schema.cql") for number in range(3)]
        assert [small.send(body)[0] for body in (*bodies, bodies[0])] == [204, 204, 503, 204]
        watcher = InboxWatcher(small.inbox)
        with pytest.raises(EventsLost):
            watcher.wait(0)
        assert small.send(bodies[2])[0] == 204
        assert watcher.wait(0) == [ObjectEvent("created", "p/n1/b2/meta/schema.cql")]


RAW = {
    "too large": (b"POST / HTTP/1.1\r\nContent-Length: 1048577\r\n\r\n", b" 413 "),
    "larger than any number": (b"POST / HTTP/1.1\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n", b" 413 "),
    "no length": (b"POST / HTTP/1.1\r\n\r\n", b" 411 "),
    "no number": (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", b" 411 "),
    "another number": ("POST / HTTP/1.1\r\nContent-Length: ٣\r\n\r\n".encode(), b" 411 "),
    "in chunks": (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n", b" 411 "),
    "no HTTP": (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", b" 400 "),
    "another HTTP": (b"POST / HTTP/9.9\r\n\r\n", b" 505 "),
    "too long a line": (b"POST /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n", b" 414 "),
    "too many headers": (b"POST / HTTP/1.1\r\n" + b"a: b\r\n" * 200 + b"\r\n", b" 431 "),
    "another method": (b"DELETE / HTTP/1.1\r\n\r\n", b" 501 "),
}


@pytest.mark.parametrize(("request_head", "status"), RAW.values(), ids=RAW)
def test_what_is_refused(
    guarded: Listening, caplog: pytest.LogCaptureFixture, request_head: bytes, status: bytes
) -> None:
    with guarded.raw() as connection:
        connection.sendall(request_head)
        answer = connection.recv(4096)
    assert status in answer.partition(b"\r\n")[0]
    until(lambda: bool(caplog.messages))
    assert len(caplog.messages) == 1
    assert guarded.send(message(), headers=basic("u", SECRET))[0] == 204


def test_a_body_that_ends_too_early(guarded: Listening, caplog: pytest.LogCaptureFixture) -> None:
    with guarded.raw() as connection:
        authorization = basic("u", SECRET)["Authorization"]
        connection.sendall(
            f"POST / HTTP/1.1\r\nAuthorization: {authorization}\r\nContent-Length: 500\r\n\r\n{{".encode()
        )
        connection.shutdown(socket.SHUT_WR)
        assert b" 400 " in connection.recv(4096)
    assert caplog.messages == ["webhook of 127.0.0.1 refused: it ended too early"]


def test_curl_is_told_to_go_on(guarded: Listening) -> None:
    body = message()
    with guarded.raw() as connection:
        head = f"POST /?secret={quote(SECRET, safe='')} HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: {len(body)}"
        connection.sendall(head.encode() + b"\r\n\r\n")
        assert connection.recv(4096).startswith(b"HTTP/1.1 100 ")
        connection.sendall(body)
        assert connection.recv(4096).startswith(b"HTTP/1.1 204 ")
    assert guarded.came() == {KEY}


def test_its_health_is_for_everybody(guarded: Listening) -> None:
    assert guarded.send(target="/healthz", method="GET") == (200, b"ok\n")
    assert guarded.send(target="/healthz?x", method="HEAD") == (200, b"")
    assert guarded.send(target="/", method="GET")[0] == 404


def test_slow_strangers_hold_nobody_up_for_long(caplog: pytest.LogCaptureFixture) -> None:
    with listening(door(None, Bounds(seconds=0.5, connections=3))) as narrow:
        strangers = [socket.create_connection(("127.0.0.1", narrow.port)) for _ in range(3)]
        for stranger, start in zip(
            strangers, (b"", b"POST / HTT", b"POST / HTTP/1.1\r\nContent-Length: 900000\r\n\r\n{"), strict=True
        ):
            stranger.sendall(start)

        def drip() -> bool:
            for stranger in strangers[1:]:
                try:
                    stranger.send(b" ")
                except OSError:
                    continue
            try:
                return narrow.send(message())[0] == 204
            except OSError:
                return False

        until(drip)
        assert narrow.came() == {KEY}
        until(lambda: caplog.text.count("it took too long") == 3, 15)
        for stranger in strangers:
            stranger.close()


def test_too_many_at_once_are_told(caplog: pytest.LogCaptureFixture) -> None:
    with listening(door(None, Bounds(connections=2))) as narrow, narrow.raw() as one, narrow.raw() as other:
        for connection in (one, other):
            connection.sendall(b"POST / HTTP/1.1\r\n")
        with narrow.raw() as third:
            assert b" 503 " in third.recv(1000)
        assert "too many connections at once" in caplog.text
        one.sendall(b"Content-Length: 0\r\n\r\n")
        assert b" 204 " in one.recv(1000)
        until(lambda: narrow.send(target="/healthz", method="GET")[0] == 200)


def test_whatever_is_sent_it_goes_on(guarded: Listening) -> None:
    chance = random.Random(4)
    pieces = [
        b"POST / HTTP/1.1\r\n",
        b"GET /",
        b"\r\n\r\n",
        b"Content-Length: 5\r\n",
        b"\x00\xff",
        b": ",
        b"//[",
        b"HTTP/1.1",
    ]
    for _ in range(60):
        with guarded.raw() as connection:
            connection.sendall(b"".join(chance.choices(pieces, k=chance.randint(0, 9))))
            connection.shutdown(socket.SHUT_WR)
            try:
                while connection.recv(4096):
                    pass
            except ConnectionError:
                continue
    assert guarded.send(message(), headers=basic("u", SECRET))[0] == 204


def test_an_address_that_is_taken_or_none(guarded: Listening) -> None:
    for host, port in (("127.0.0.1", guarded.port), ("192.0.2.1", 80), ("no-such-host.invalid", 80)):
        webhooks = Webhooks(Door(ListenAddress(host, port)), Inbox(), SystemClock())
        with pytest.raises(Misconfigured, match=f"listen = {host}:{port}: "):
            webhooks.open()


def test_ipv6() -> None:
    webhooks = Webhooks(Door(ListenAddress("::1", port := free_port())), inbox := Inbox(), SystemClock())
    webhooks.open()
    try:
        connection = HTTPConnection("::1", port, timeout=30)
        connection.request("POST", "/", message())
        assert connection.getresponse().status == 204
        connection.close()
    finally:
        webhooks.close()
    assert [event.key for event in inbox.take(0)[0]] == [KEY]
