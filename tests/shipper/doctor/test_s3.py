"""S3 servers: good ones, ones that forget conditions, credentials that may too much or too little, and none at all."""

from __future__ import annotations

import email.utils
import json
import re
import socket
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.harness import s3_servers
from tests.harness.faulty_proxy import Fault, FaultyProxy, faulty_proxy, refusal
from tests.harness.forgetful import without_conditions
from tests.harness.s3_servers import S3Server
from tests.shipper.doctor.asked import ask, s3_program

PROBE = "prod/n1/doctor-probe"
DAY = 86_400

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "permissions.md"
NODE_MAY_CREATE = ("prod/n1/*", "index/announced/prod/n1/*", "prod/index/holds/*")


@pytest.fixture
def bucket(server: S3Server) -> str:
    return server.bucket(f"b{uuid.uuid4().hex}")


@pytest.fixture
def proxy(server: S3Server) -> Iterator[FaultyProxy]:
    with faulty_proxy(server.host, server.port) as running:
        yield running


def with_policy(server: S3Server, bucket: str, user: str, statements: list[dict[str, object]]) -> S3Server:
    """The server as a user of that name sees it, who may do what the policy says and nothing else."""
    s3_servers.add_user(server, user, f"{user}-secret")
    principal = {"Effect": "Allow", "Principal": {"AWS": [user]}}
    document = {"Version": "2012-10-17", "Statement": [{**principal, **each} for each in statements]}
    with server.boto() as boto:
        boto.put_bucket_policy(Bucket=bucket, Policy=json.dumps(document))
    return replace(server, access=user, secret=f"{user}-secret")


def looking(bucket: str) -> list[dict[str, object]]:
    """To list and to read all of the bucket."""
    return [
        {"Action": ["s3:ListBucket"], "Resource": [f"arn:aws:s3:::{bucket}"]},
        {"Action": ["s3:GetObject"], "Resource": [f"arn:aws:s3:::{bucket}/*"]},
    ]


def creating(bucket: str, *below: str) -> dict[str, object]:
    return {"Action": ["s3:PutObject"], "Resource": [f"arn:aws:s3:::{bucket}/{each}" for each in below]}


def stored(server: S3Server, bucket: str) -> list[str]:
    with server.boto() as boto:
        return [each["Key"] for each in boto.list_objects_v2(Bucket=bucket).get("Contents", [])]


def unfinished(server: S3Server, bucket: str) -> int:
    with server.boto() as boto:
        return len(boto.list_multipart_uploads(Bucket=bucket).get("Uploads", []))


def test_a_good_server(server: S3Server, bucket: str, tmp_path: Path) -> None:
    found = ask(s3_program(tmp_path, server, bucket=bucket), "settings", "store", "index")
    assert not found.said("fail")
    for check in (
        "settings/credentials",
        "store/create",
        "store/announce",
        "store/create-in-parts",
        "index/replace",
        "store/clock",
    ):
        assert found.status(check) == {"ok"}, check
    assert "may overwrite and delete backups" in found.said("warn")
    assert stored(server, bucket) == ["prod/index/catalog/probe.json"]
    assert not unfinished(server, bucket)


def test_what_a_server_does_not_tell_is_not_checked(server: S3Server, bucket: str, tmp_path: Path) -> None:
    found = ask(s3_program(tmp_path, server, bucket=bucket), "store")
    assert ("not checked", "not checked: this server does not tell the lifecycle of the bucket") in found.of(
        "store/rules"
    )


def test_reading_only_writes_nothing(server: S3Server, bucket: str, tmp_path: Path) -> None:
    found = ask(s3_program(tmp_path, server, bucket=bucket), "store", "index", read_only=True)
    assert not stored(server, bucket)
    for check in ("store/create", "store/create-in-parts", "index/replace", "store/powers"):
        assert found.of(check) == [("not checked", "not checked: --read-only writes no probe")], check
    assert found.status("store/clock") == {"ok"}


def documented(bucket: str, *blocks: int) -> list[dict[str, object]]:
    """The policy of these blocks of the document, of which the later replaces statements of the earlier; for our node."""
    text = DOCUMENT.read_text().replace("BUCKET", bucket).replace("PREFIX", "prod").replace("NODE", "n1")
    found = [json.loads(each) for each in re.findall(r"^```json\n(.*?)^```", text, re.MULTILINE | re.DOTALL)]
    statements: dict[str, dict[str, object]] = {}
    for block in blocks:
        listed = found[block] if isinstance(found[block], list) else found[block]["Statement"]
        statements |= {each.pop("Sid"): each for each in listed}
    statements.pop("NeverOverwrite", None)  # Amazon's own
    return list(statements.values())


@pytest.mark.parametrize("restores", [False, True])
def test_a_node_with_the_rights_of_the_document(
    server: S3Server, bucket: str, tmp_path: Path, *, restores: bool
) -> None:
    blocks = (0, 1) if restores else (0,)
    node = with_policy(server, bucket, "restorer" if restores else "backupper", documented(bucket, *blocks))
    for _ in range(2):  # the probe stays there, and is met again
        found = ask(s3_program(tmp_path, node, bucket=bucket), "store", "index", "stock", "names")
        assert not [each for each in found.said("fail").splitlines() if not each.startswith("node/")]
        assert found.status("store/create") == found.status("store/create-in-parts") == {"ok"}
        assert found.status("store/clock") == {"ok"}
        assert ("needs --without-hold" in found.said("warn")) is not restores
        assert found.of("index/replace") == [
            ("not checked", "not checked: these credentials may not write the catalog, as it should be on a node")
        ]
        assert found.of("stock/deletes") == [
            ("not checked", "not checked: these credentials may not list announcements")
        ]
        assert found.of("names/neighbours") == [
            ("not checked", "not checked: these credentials may not list other nodes")
        ]
        assert found.of("store/powers")[0][1].startswith("these credentials may overwrite backups")
        assert PROBE in stored(server, bucket)


def test_an_indexer_with_the_rights_of_the_document(server: S3Server, bucket: str, tmp_path: Path) -> None:
    user = with_policy(server, bucket, "indexer", documented(bucket, 3))
    found = ask(s3_program(tmp_path, user, bucket=bucket), "index")
    assert not found.said("fail")
    assert found.status("index/replace") == {"ok"}


def test_a_node_that_may_not_overwrite_is_as_it_should_be(
    server: S3Server, bucket: str, proxy: FaultyProxy, tmp_path: Path
) -> None:
    """As Amazon is told by a policy with the condition s3:if-none-match: an unconditional PUT is forbidden."""
    user = with_policy(server, bucket, "creator", [*looking(bucket), creating(bucket, *NODE_MAY_CREATE)])
    proxy.chance = lambda method, target, headers: (
        Fault(answer=refusal(403, "AccessDenied"))
        if method == "PUT" and "partNumber" not in target and "if-none-match" not in headers
        else None
    )
    found = ask(s3_program(tmp_path, user, bucket=bucket, port=proxy.port), "store")
    assert found.of("store/powers") == [
        ("ok", "these credentials may create objects, and neither overwrite nor delete them")
    ]


def test_a_node_that_may_not_announce(server: S3Server, bucket: str, tmp_path: Path) -> None:
    user = with_policy(server, bucket, "silent", [*looking(bucket), creating(bucket, "prod/n1/*")])
    found = ask(s3_program(tmp_path, user, bucket=bucket), "store")
    assert "these credentials may not announce backups (index/announced/prod/n1/doctor-probe)" in found.said("fail")
    assert "these credentials may not create holds" in found.said("warn")
    assert "docs/permissions.md" in found.said("fail")
    assert found.status("store/create") == {"ok"}


def test_what_a_node_may_not_see_is_not_checked(server: S3Server, bucket: str, tmp_path: Path) -> None:
    user = with_policy(server, bucket, "modest", [*looking(bucket), creating(bucket, *NODE_MAY_CREATE)])
    found = [seen for _, seen in ask(s3_program(tmp_path, user, bucket=bucket), "store").of("store/rules")]
    assert "not checked: these credentials may not see unfinished uploads, versioning, object lock" in found


def test_a_node_that_may_not_read_back(server: S3Server, bucket: str, tmp_path: Path) -> None:
    user = with_policy(server, bucket, "blind", [looking(bucket)[0], creating(bucket, *NODE_MAY_CREATE)])
    found = ask(s3_program(tmp_path, user, bucket=bucket), "store")
    assert "fail" in found.status("store/bucket") | found.status("store/create")
    assert "forbids it" in found.said("fail")


def test_a_node_that_may_not_list(server: S3Server, bucket: str, tmp_path: Path) -> None:
    user = with_policy(server, bucket, "groping", [looking(bucket)[1], creating(bucket, *NODE_MAY_CREATE)])
    found = ask(s3_program(tmp_path, user, bucket=bucket), "store", "index")
    assert found.status("store/bucket") == {"fail"}
    assert found.status("index/catalog") == {"not checked"}


def test_a_server_that_forgets_conditions(server: S3Server, bucket: str, proxy: FaultyProxy, tmp_path: Path) -> None:
    proxy.rewrite = without_conditions(server)
    program = s3_program(tmp_path, server, bucket=bucket, port=proxy.port)
    done = program.run("doctor", "--only", "store")
    assert done.code == 1
    assert "FAIL  store/create: the store overwrites objects that were to be created only if absent\n" in done.out
    found = ask(program, "store", "index")
    assert "two indexers would lose updates" in found.said("fail")
    assert found.status("store/create-in-parts") == {"not checked"}


def test_a_server_that_forgets_them_for_uploads_in_parts_only(
    server: S3Server, bucket: str, proxy: FaultyProxy, tmp_path: Path
) -> None:
    proxy.rewrite = without_conditions(server, only_in="uploadId=")
    found = ask(s3_program(tmp_path, server, bucket=bucket, port=proxy.port), "store")
    assert not found.said("fail")
    assert found.status("store/create") == {"ok"}
    assert found.status("store/create-in-parts") == {"warn"}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"secret": "other"}, "SignatureDoesNotMatch"),
        ({"access": "nobody"}, "InvalidAccessKeyId"),
    ],
)
def test_wrong_keys(server: S3Server, bucket: str, tmp_path: Path, wrong: dict[str, str], said: str) -> None:
    changed = replace(server, access=wrong.get("access", server.access), secret=wrong.get("secret", server.secret))
    found = ask(s3_program(tmp_path, changed, bucket=bucket), "store")
    assert (found.status("store/bucket"), found.status("store/create")) == ({"fail"}, {"not checked"})
    assert said in found.said("fail")


def test_no_such_bucket(server: S3Server, tmp_path: Path) -> None:
    found = ask(s3_program(tmp_path, server, bucket="nowhere"), "store").said("fail")
    assert "no such bucket: nowhere" in found
    assert "Check bucket_name" in found


def test_no_server_at_all(server: S3Server, tmp_path: Path) -> None:
    found = ask(s3_program(tmp_path, server, port=s3_servers.free_port()), "store", "index", "stock")
    assert found.status("store/bucket") == {"fail"}
    assert "no connection to http://127.0.0.1:" in found.said("fail")
    others = {each.check for each in found.findings if each.check.partition("/")[0] in {"store", "index"}} - {
        "store/bucket"
    }
    assert all(found.status(check) == {"not checked"} for check in others)
    assert found.status("stock/jobs") != {"not checked"}  # needs no bucket


def test_a_server_that_never_answers_does_not_hold_the_program(server: S3Server, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        program = s3_program(tmp_path, server, port=silent.getsockname()[1])
        done = program.run("doctor", "--only", "index", "--timeout", "1")
    assert done.code == 1
    assert "FAIL  store/bucket: no answer within 1 seconds\n" in done.out
    assert "?     index/catalog: not checked: store/bucket has to be good first\n" in done.out


@pytest.mark.parametrize("hours", [0, 1, -1])
def test_clocks_that_differ(server: S3Server, bucket: str, proxy: FaultyProxy, tmp_path: Path, hours: int) -> None:
    """The date of an answer is another one."""
    said = email.utils.formatdate(time.time() + hours * 3600, usegmt=True)
    body = b"<ListBucketResult></ListBucketResult>"
    head = f"HTTP/1.1 200 OK\r\ncontent-length: {len(body)}\r\ndate: {said}\r\n\r\n".encode()
    proxy.chance = lambda method, target, _: (
        Fault(answer=head + body) if method == "GET" and "max-keys=1&prefix" in target else None
    )
    found = ask(s3_program(tmp_path, server, bucket=bucket, port=proxy.port), "store")
    assert found.status("store/clock") == {"fail" if hours else "ok"}


def test_a_key_file_that_others_may_read(server: S3Server, bucket: str, tmp_path: Path) -> None:
    program = s3_program(tmp_path, server, bucket=bucket)
    (tmp_path / "keys").chmod(0o644)
    assert "may be read by others than its owner (-rw-r--r--)" in ask(program, "settings").said("warn")
    (tmp_path / "keys").unlink()
    assert "key_file" in ask(program, "settings").said("fail")
