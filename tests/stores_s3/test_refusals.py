"""S3 that says no: whose fault it is, and what to do about it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from backupstore.errors import BackupError, Conflict, Denied, Misconfigured, NoSpace, NotFound, Refused, Retryable
from backupstore.ports import ObjectStore
from backupstore.stores.http.pool import Wire
from backupstore.stores.http.retry import Patience
from backupstore.stores.s3.endpoint import own
from backupstore.stores.s3.options import Storing
from backupstore.stores.s3.signing import Keys
from backupstore.stores.s3.store import S3Store
from tests.clocks import SettableClock
from tests.conformance.samples import MIB, whole
from tests.harness import s3_servers
from tests.harness.faulty_proxy import Fault, FaultyProxy, refusal
from tests.harness.s3_servers import REGION, S3Server
from tests.harness.s3_stores import FixedKeys, How, after_a_write, opened

BUCKET = "refusals"
VERBS: dict[str, Callable[[ObjectStore], object]] = {
    "read": lambda store: store.read("a"),
    "fetch": lambda store: store.fetch("a", lambda _: None),
    "head": lambda store: store.head("a"),
    "create": lambda store: store.create("a", b""),
    "replace": lambda store: store.replace("a", b"", "0" * 32),
    "put": lambda store: store.put("a", b""),
    "upload": lambda store: store.upload("a", whole(10)),
    "upload in parts": lambda store: store.upload("a", whole(9 * MIB)),
    "list": lambda store: list(store.list("")),
    "entries": lambda store: store.entries(""),
    "delete": lambda store: store.delete(["a"]),
}


@pytest.fixture
def impatient(server: S3Server, proxy: FaultyProxy) -> S3Store:
    """The store behind the proxy, soon at the end of its patience."""
    return opened(server, BUCKET, How(port=proxy.port, patience=Patience(seconds=0.1, least=2)))


@pytest.mark.parametrize("verb", VERBS)
def test_no_such_bucket(server: S3Server, verb: str) -> None:
    with pytest.raises(NotFound) as caught:
        VERBS[verb](opened(server, "absent"))
    if verb != "head" and "parts" not in verb:  # its answer has no body that could say so
        assert "no such bucket: absent" in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("keys", [Keys("testaccess", "wrong"), Keys("nobody", "wrong")], ids=str)
def test_wrong_keys_are_denied(server: S3Server, verb: str, keys: Keys) -> None:
    with pytest.raises(Denied) as caught:
        VERBS[verb](opened(server, BUCKET, How(keys=FixedKeys(keys))))
    assert caught.value.hint


@pytest.mark.parametrize("verb", VERBS)
def test_a_user_without_rights_is_denied(server: S3Server, verb: str) -> None:
    with opened_user(server) as store, pytest.raises(Denied):
        VERBS[verb](store)


@contextmanager
def opened_user(server: S3Server) -> Iterator[S3Store]:
    """The store as a user without rights."""
    name = f"user{uuid.uuid4().hex[:8]}"
    s3_servers.add_user(server, name, "usersecret")
    try:
        yield opened(server, BUCKET, How(keys=FixedKeys(Keys(name, "usersecret"))))
    finally:
        s3_servers.remove_user(server, name)


def test_rights_are_as_the_policy_says(server: S3Server, folder: str) -> None:
    """Writing without reading: an answer that gets lost cannot be looked after, and nothing else is missing."""
    s3_servers.add_user(server, "writer", "writersecret")
    s3_servers.grant(server, server.bucket("policed"), ["writer"], "s3:PutObject")
    store = opened(server, "policed", How(keys=FixedKeys(Keys("writer", "writersecret"))))
    store.create(f"{folder}a", b"body")
    store.upload(f"{folder}b", whole(100))
    for verb in ("read", "list", "delete"):
        with pytest.raises(Denied):
            VERBS[verb](store)


@pytest.mark.parametrize("verb", VERBS)
def test_the_right_region_is_named(server: S3Server, verb: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        VERBS[verb](opened(server, BUCKET, How(region="eu-west-9")))
    if verb not in {"head", "upload in parts"}:
        assert REGION in caught.value.explained
    assert "region" in caught.value.explained


@pytest.mark.parametrize(
    "expected",
    [
        (refusal(301, "PermanentRedirect", "x-amz-bucket-region: eu-west-3"), Misconfigured, "eu-west-3"),
        (refusal(307, "TemporaryRedirect"), Misconfigured, "region"),
        (refusal(400, "IllegalLocationConstraintException"), Misconfigured, "region"),
        (refusal(403, "RequestTimeTooSkewed"), Denied, "clock"),
        (refusal(403, "InvalidObjectState"), Denied, "archived"),
        (refusal(403, "AccountProblem"), Denied, "AccountProblem"),
        (refusal(400, "ExpiredToken"), Denied, "session"),
        (refusal(400, "InvalidStorageClass"), Misconfigured, "storage_class"),
        (refusal(501, "NotImplemented"), Misconfigured, "NotImplemented"),
        (refusal(507, "XMinioStorageFull"), NoSpace, "full"),
        (refusal(403, "QuotaExceeded"), NoSpace, "quota"),
        (refusal(409, "InvalidBucketState"), Refused, "InvalidBucketState"),
        (b"HTTP/1.1 418 Teapot\r\ncontent-length: 5\r\n\r\nshort", Misconfigured, "short"),
        (b"HTTP/1.1 304 Not Modified\r\n\r\n", Misconfigured, "304"),
        (b"HTTP/1.1 503 x\r\ncontent-length: 0\r\n\r\n", Retryable, "503"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", Retryable, "not an HTTP answer"),
        (b"HTTP/1.1 200 OK\r\nbroken\r\n\r\n", Retryable, "colon"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n", Retryable, "number"),
        (b"HTTP/1.1 206 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n", Retryable, ""),
    ],
    ids=str,
)
@pytest.mark.parametrize("verb", ["read", "create", "list", "fetch", "delete"])
def test_what_a_store_may_answer(
    impatient: S3Store, proxy: FaultyProxy, verb: str, expected: tuple[bytes, type[BackupError], str]
) -> None:
    store = after_a_write(impatient)
    answer, error, said = expected
    proxy.faults.append(Fault(times=99, answer=answer))
    with pytest.raises(error) as caught:
        VERBS[verb](store)
    assert said in caught.value.explained
    assert caught.value.hint


def test_hostile_answers_do_not_get_out(impatient: S3Store, proxy: FaultyProxy) -> None:
    store = impatient
    for body in (b"<a>" * 10_000, b"<!DOCTYPE x [<!ENTITY y 'z'>]><x>&y;</x>", b"\xff\x00", b"<ListBucketResult/>"):
        proxy.faults.append(Fault(answer=b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body))
        with suppress(BackupError):
            list(store.list(""))
        assert not proxy.faults


def test_a_listing_that_turns_in_circles_ends(server: S3Server, proxy: FaultyProxy) -> None:
    store = opened(server, BUCKET, How(port=proxy.port))
    body = b"<L><IsTruncated>true</IsTruncated><NextContinuationToken>x</NextContinuationToken></L>"
    proxy.faults.append(Fault(times=99, answer=b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body))
    with pytest.raises(BackupError, match="again and again"):
        list(store.list(""))


def test_a_line_break_in_a_setting_is_refused(server: S3Server, folder: str) -> None:
    store = opened(server, BUCKET, How(storing=Storing(storage_class="A\r\nx-amz-acl: public-read")))
    with pytest.raises(Misconfigured):
        store.create(f"{folder}a", b"")


def test_a_name_that_cannot_be_resolved_is_said() -> None:
    endpoint = own("bucket", REGION, ("no-such-host.invalid", 1), secure=False)
    store = S3Store(
        endpoint, FixedKeys(Keys("a", "s")), SettableClock(), wire=Wire(patience=Patience(seconds=1, least=1))
    )
    with pytest.raises(Retryable, match="resolved"):
        store.head("a")


def test_conflicts_of_a_folder_and_an_object_are_refused(server: S3Server, folder: str) -> None:
    store = opened(server, BUCKET, How(patience=Patience(seconds=0.1)))
    store.create(f"{folder}a", b"")
    with pytest.raises((Refused, Conflict)):
        store.create(f"{folder}a/b", b"")
