"""Real S3 servers on loopback, each with a directory of its own, gone with the block that started them.

A server's life hangs on a pipe that only its starter holds: it is killed when the block ends, and
also when the starter is killed itself.
"""

from __future__ import annotations

import base64
import json
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from tests.harness.errors import HarnessError, program
from tests.harness.go_tools import MINIO, VERSITYGW, installed

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

REGION = "us-east-1"

_HOST = "127.0.0.1"
_STARTS = 5
_PATIENCE = 30.0
MINIO_WEBHOOK = "arn:minio:sqs::EVENTS:webhook"
_LEASH = '"$@" </dev/null & server=$!; cat >/dev/null; kill -9 $server'


@dataclass(frozen=True, slots=True)
class S3Server:
    """A server that answers. ``authority``: the certificate to trust, if it speaks TLS."""

    port: int
    access: str
    secret: str
    authority: Path | None = None
    host: str = _HOST

    @property
    def url(self) -> str:
        return f"{'https' if self.authority else 'http'}://{self.host}:{self.port}"

    @contextmanager
    def boto(self) -> Iterator[S3Client]:
        """Amazon's own client, to arrange things and to look at them from outside."""
        config = Config(s3={"addressing_style": "path"}, retries={"max_attempts": 2})
        client = boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=self.access,
            aws_secret_access_key=self.secret,
            verify=str(self.authority) if self.authority else None,
            config=config,
        )
        try:
            yield client
        finally:
            client.close()

    def bucket(self, name: str) -> str:
        """Make a bucket."""
        with self.boto() as boto:
            boto.create_bucket(Bucket=name)
        return name


@contextmanager
def versitygw(  # noqa: PLR0913 -- each of a gateway's options
    folder: Path, *, tls: bool = False, versions: bool = False, domain: str = "", webhook: str = "", at: int = 0
) -> Iterator[S3Server]:
    """Versity's gateway over a directory. ``domain``: below it are the buckets of virtual-host style.

    ``versions``: buckets may keep old versions, and lock objects.

    ``webhook``: a URL that is told of every object that changes, in any bucket; it has to answer already. Whoever
    answers there may have to know the port of the gateway before: ``at``. Else any free one is taken.
    """
    binary = installed(VERSITYGW)
    data, users = folder / "data", folder / "users"
    data.mkdir()
    users.mkdir()
    authority = certificate(folder) if tls else None
    posix = ["posix", str(data)]
    if versions:
        (folder / "versions").mkdir()  # has to lie beside the buckets, not among them
        posix[1:1] = ["--versioning-dir", str(folder / "versions")]

    def command(port: int) -> list[str]:
        options = ["--access", "testaccess", "--secret", "testsecret", "--region", REGION, "--iam-dir", str(users)]
        if authority:
            options += ["--cert", str(authority), "--key", str(authority.with_name("key.pem"))]
        options += ["--virtual-domain", domain] if domain else []
        options += ["--event-webhook-url", webhook] if webhook else []
        return [str(binary), *options, "--port", f"{_HOST}:{port}", "--keep-alive", "--quiet", *posix]

    with running(command, {}, folder / "log", at) as port:
        yield S3Server(port, "testaccess", "testsecret", authority)


@contextmanager
def minio(folder: Path, *, tls: bool = False, webhook: str = "", token: str = "") -> Iterator[S3Server]:
    """MinIO over a directory, with a key of KMS that is called ``testkey``.

    ``webhook``: a URL that buckets can name for their events, as ``MINIO_WEBHOOK``; ``token``: what it is sent with each.
    """
    binary = installed(MINIO)
    data, certificates = folder / "data", folder / "certs"
    data.mkdir()
    certificates.mkdir()
    authority = certificate(folder) if tls else None
    if authority:
        (certificates / "public.crt").write_bytes(authority.read_bytes())
        (certificates / "private.key").write_bytes(authority.with_name("key.pem").read_bytes())
    environment = {
        "MINIO_ROOT_USER": "testaccess",
        "MINIO_ROOT_PASSWORD": "testsecret",
        "MINIO_BROWSER": "off",
        "MINIO_KMS_SECRET_KEY": f"testkey:{base64.b64encode(bytes(32)).decode()}",
    }
    if webhook:
        environment |= {"MINIO_NOTIFY_WEBHOOK_ENABLE_EVENTS": "on", "MINIO_NOTIFY_WEBHOOK_ENDPOINT_EVENTS": webhook}
        environment |= {"MINIO_NOTIFY_WEBHOOK_AUTH_TOKEN_EVENTS": token}

    def command(port: int) -> list[str]:
        options = ["--quiet", "--certs-dir", str(certificates), "--address", f"{_HOST}:{port}"]
        return [str(binary), "server", *options, str(data)]

    with running(command, environment, folder / "log") as port:
        server = S3Server(port, "testaccess", "testsecret", authority)
        _wait_for_answers(server)
        yield server


def add_user(server: S3Server, access: str, secret: str) -> None:
    """A user of versitygw without any rights of its own."""
    _admin(server, "create-user", "--access", access, "--secret", secret, "--role", "user")


def remove_user(server: S3Server, access: str) -> None:
    """Take a user's keys away."""
    _admin(server, "delete-user", "--access", access)


def grant(server: S3Server, bucket: str, users: Sequence[str], action: str = "s3:*") -> None:
    """A policy of the bucket: these users may do that to its objects, and anything to the bucket too unless told otherwise."""
    resources = [f"arn:aws:s3:::{bucket}/*", *([f"arn:aws:s3:::{bucket}"] if action == "s3:*" else [])]
    statement = {"Effect": "Allow", "Principal": {"AWS": list(users)}, "Action": [action], "Resource": resources}
    with server.boto() as boto:
        boto.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))


def certificate(folder: Path) -> Path:
    """A certificate for loopback that signs itself: ``cert.pem``, with ``key.pem`` beside it."""
    openssl = program("openssl", "apt-get install openssl")
    command = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-days", "2", "-subj", "/CN=localhost", "-addext", f"subjectAltName=IP:{_HOST},DNS:localhost"]
    command += ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise HarnessError(f"openssl made no certificate:\n{done.stderr[-1000:]}")
    return folder / "cert.pem"


def free_port() -> int:
    """A port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(
    command: Callable[[int], Sequence[str]], environment: Mapping[str, str], log: Path, at: int = 0
) -> Iterator[int]:
    """A server of any kind that listens; the port, which the command was told."""
    for _ in range(_STARTS):
        port = at or free_port()
        with log.open("ab") as output:
            leash = subprocess.Popen(
                ["sh", "-c", _LEASH, "sh", *command(port)],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                env={**os.environ, **environment},
            )
        try:
            if _listens(port, leash):
                yield port
                return
        finally:
            assert leash.stdin
            leash.stdin.close()
            leash.wait()
    raise HarnessError(f"the server does not start; its last words:\n{log.read_text()[-2000:]}")


def _listens(port: int, leash: subprocess.Popen[bytes]) -> bool:
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline and leash.poll() is None:
        try:
            with socket.create_connection((_HOST, port), timeout=1):
                return True
        except OSError:
            time.sleep(0.02)
    return False


def _wait_for_answers(server: S3Server) -> None:
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            with server.boto() as boto:
                boto.list_buckets()
        except (BotoCoreError, ClientError) as error:
            if time.monotonic() > deadline:
                raise HarnessError(f"{server.url} does not answer: {error}") from error
            time.sleep(0.1)
        else:
            return


def _admin(server: S3Server, *arguments: str) -> None:
    command = [str(installed(VERSITYGW)), "admin", "--access", server.access, "--secret", server.secret]
    command += ["--endpoint-url", server.url, "--region", REGION, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise HarnessError(f"versitygw {arguments[0]}: {done.stdout[-500:]}{done.stderr[-500:]}")
