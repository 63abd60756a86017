"""``serve`` beside real gateways that tell it of what is written, or do not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from types_boto3_s3.literals import EventType

from backupstore.core.layout import ANNOUNCED, Layout
from backupstore.errors import NotFound
from backupstore.operations.reconcile import reconcile
from backupstore.stores.s3.store import S3Store
from tests.functions.world import BUCKET, settings_of
from tests.harness.faulty_proxy import Fault, faulty_proxy, refusal
from tests.harness.forgetful import without_conditions
from tests.harness.s3_servers import MINIO_WEBHOOK, S3Server, free_port, minio, versitygw
from tests.harness.s3_stores import opened
from tests.shipper.cli.handmade import Made, Maker
from tests.shipper.cli.program import Program, Running, until
from tests.shipper.serve.test_webhooks import SECRET

TOKEN = "token-0123456789"
SLOW = ("reconcile_interval = 3600",)


@dataclass(frozen=True)
class Served:
    """A bucket on a gateway, and the program that keeps its catalog."""

    program: Program
    store: S3Store

    def ship(self, backup: str, prefix: str = "", made: Made | None = None) -> None:
        Maker(self.store, Layout(prefix)).ship(backup, made)

    def states(self, prefix: str = "") -> dict[str, str]:
        try:
            head = json.loads(self.store.read(Layout(prefix).head()).body)
        except NotFound:
            return {}
        return {line["name"]: line["state"] for line in head["backups"]}

    def until_listed(self, backup: str, server: Running, prefix: str = "") -> None:
        until(lambda: self.states(prefix).get(backup) == "complete", 30, server.log.read_text)

    def until_looked(self, server: Running, prefix: str = "") -> None:
        """From now on, only events tell it anything."""
        until(lambda: self.states(prefix) == {} and self._has_head(prefix), 60, server.log.read_text)

    def _has_head(self, prefix: str) -> bool:
        return any(held.key == Layout(prefix).head() for held in self.store.list(Layout(prefix).catalog()))


def program(folder: Path, server: S3Server, *shipper: str, port: int = 0) -> Program:
    at = replace(server, port=port or server.port)
    return Program(folder, shipper=(*SLOW, *shipper), environment=settings_of(at))


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """That tells nobody."""
    with versitygw(tmp_path_factory.mktemp("gateway")) as server:
        yield server


@pytest.fixture
def bucket(gateway: S3Server) -> Iterator[S3Store]:
    """An empty one."""
    with gateway.boto() as boto:
        if BUCKET in {one.get("Name") for one in boto.list_buckets()["Buckets"]}:
            for held in boto.list_objects_v2(Bucket=BUCKET).get("Contents", []):
                boto.delete_object(Bucket=BUCKET, Key=held.get("Key", ""))
        else:
            boto.create_bucket(Bucket=BUCKET)
    store = opened(gateway, BUCKET)
    yield store
    store.close()


@pytest.mark.parametrize(
    "form", ["http://events:{secret}@{at}/", "http://{at}/?secret={secret}", "http://{at}/{secret}"]
)
def test_versitygw_tells_of_backups(tmp_path: Path, form: str) -> None:
    port, listen = free_port(), f"127.0.0.1:{free_port()}"
    secret = tmp_path / "secret"
    secret.write_text(f"{TOKEN}\n")
    server = S3Server(port, "testaccess", "testsecret")
    own = program(tmp_path, server, f"webhook_secret_file = {secret}")
    with own.running("-v", "serve", "--listen", listen) as running:
        running.until_said("taking webhooks at 127.0.0.1")
        url = form.format(secret=TOKEN, at=listen)
        (tmp_path / "gateway").mkdir()
        with versitygw(tmp_path / "gateway", webhook=url, at=port) as gateway:
            names = [gateway.bucket(name) for name in (BUCKET, "another")]
            with closing(opened(gateway, names[0])) as store, closing(opened(gateway, names[1])) as another:
                hear(Served(own, store), running, another)
        for said in ("refused", "looking every", TOKEN, "elsewhere"):
            assert not running.said(said)


def hear(served: Served, running: Running, another: S3Store) -> None:
    served.until_looked(running)
    served.ship("b1")
    served.until_listed("b1", running)
    served.ship("b1", "east")
    served.until_listed("b1", running, "east")
    another.create("elsewhere/n1/b9/meta/schema.cql", b"")
    running.until_said("tells of another bucket, 'another'")
    for key in [held.key for held in served.store.list("n1/b1/")]:
        served.store.delete([key])
    until(lambda: served.states() == {}, 30, running.log.read_text)


def test_minio_tells_of_two_folders_only(tmp_path: Path) -> None:
    """Hosts that can filter by prefix and by nothing else, with a bearer token."""
    listen = f"127.0.0.1:{free_port()}"
    (tmp_path / "minio").mkdir()
    with (
        minio(tmp_path / "minio", webhook=f"http://{listen}/", token=TOKEN) as server,
        closing(opened(server, server.bucket(BUCKET))) as store,
    ):
        own = program(tmp_path, server, f"listen = {listen}", f"webhook_secret = {TOKEN}")
        served = Served(own, store)
        with own.running("serve") as running:
            served.until_looked(running)
            watch(server, ANNOUNCED, Layout().all_rows())
            served.ship("b1")
            served.until_listed("b1", running)
            served.ship("s1", made=Made(by_stock=True))
            served.store.put(
                "index/backup_index/s1/tokenmap_n1.json", served.store.read("n1/s1/meta/tokenmap.json").body
            )
            served.until_listed("s1", running)
            assert not running.said("refused")
        before = served.states()
        reconcile(served.store, Layout(), now=2e9, revision=lambda: "r", everything=True)
        assert served.states() == before


def watch(server: S3Server, *prefixes: str) -> None:
    events: list[EventType] = ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]
    with server.boto() as boto:
        boto.put_bucket_notification_configuration(
            Bucket=BUCKET,
            NotificationConfiguration={
                "QueueConfigurations": [
                    {
                        "QueueArn": MINIO_WEBHOOK,
                        "Events": events,
                        "Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": prefix}]}},
                    }
                    for prefix in prefixes
                ]
            },
        )


def test_a_gateway_with_a_wrong_token_gets_nowhere(tmp_path: Path, gateway: S3Server, bucket: S3Store) -> None:
    listen, port = f"127.0.0.1:{free_port()}", free_port()
    own = program(tmp_path, gateway, f"listen = {listen}", "webhook_secret = another-one")
    with own.running("serve") as running:
        running.until_said("taking webhooks")
        (tmp_path / "other").mkdir()
        with versitygw(tmp_path / "other", webhook=f"http://u:{TOKEN}@{listen}/", at=port):
            running.until_said("webhook of 127.0.0.1 refused: the secret is missing or wrong")
        assert not running.said(TOKEN)
        assert not running.said("another-one")
    del bucket


def test_without_webhooks_it_looks(tmp_path: Path, gateway: S3Server, bucket: S3Store) -> None:
    own = program(tmp_path, gateway, "poll_interval = 1")
    served = Served(own, bucket)
    with own.running("serve") as running:
        running.until_said("looking every 1 seconds")
        served.until_looked(running)
        served.ship("b1")
        served.until_listed("b1", running)
        served.ship("b1", "east")
        served.until_listed("b1", running, "east")


def test_one_cluster_is_looked_for_below_its_prefix_only(tmp_path: Path, gateway: S3Server, bucket: S3Store) -> None:
    with faulty_proxy(gateway.host, gateway.port) as proxy:
        own = program(tmp_path, gateway, "poll_interval = 1", port=proxy.port)
        served = Served(own, bucket)
        with own.running("--prefix", "east", "serve") as running:
            served.until_looked(running, "east")
            served.ship("b1", "east")
            served.until_listed("b1", running, "east")
        listed = {target for method, target, _ in proxy.requests if method == "GET" and "list-type=2" in target}
        listed -= {target for target in listed if target.endswith("max-keys=1")}  # whether the bucket is there
    assert listed
    assert not [target for target in listed if "prefix=east" not in target and "announced%2Feast%2F" not in target]


@pytest.mark.parametrize("how", ["forgets them", "refuses them"])
def test_a_store_without_conditions_is_told_and_served(
    tmp_path: Path, gateway: S3Server, bucket: S3Store, how: str
) -> None:
    def refuse(_method: str, _target: str, headers: dict[str, str]) -> Fault | None:
        conditional = {"if-match", "if-none-match"} & {name.lower() for name in headers}
        return Fault(answer=refusal(501, "NotImplemented")) if conditional else None

    with faulty_proxy(gateway.host, gateway.port) as proxy:
        if how == "refuses them":
            proxy.chance = refuse
        else:
            proxy.rewrite = without_conditions(gateway)
        own = program(tmp_path, gateway, "poll_interval = 1", port=proxy.port)
        served = Served(own, bucket)
        with own.running("serve") as running:
            running.until_said("this store knows no conditional writes: run no second 'serve'")
            served.until_looked(running)
            for backup in ("b1", "b2"):
                served.ship(backup)
                served.until_listed(backup, running)


def test_what_was_written_while_it_was_down_is_found(tmp_path: Path, gateway: S3Server, bucket: S3Store) -> None:
    own = program(tmp_path, gateway, f"listen = 127.0.0.1:{free_port()}")
    served = Served(own, bucket)
    with own.running("serve") as running:
        served.until_looked(running)
    served.ship("b1")
    with own.running("serve") as running:
        served.until_listed("b1", running)


@pytest.mark.parametrize(
    ("shipper", "arguments", "said"),
    [
        (("watch = events",), (), "[shipper] watch = events: S3 tells of what is written by webhooks only"),
        (("listen = 0.0.0.0:8900",), (), "[shipper] listen = 0.0.0.0:8900: can be reached from other machines"),
        ((), ("--listen", "[::]:8900"), "--listen: [shipper] listen = [::]:8900: can be reached from other machines"),
        ((), ("--listen", "8900"), "--listen: [shipper] listen = 8900: names no address and port"),
        (
            ("listen = 127.0.0.1:8900", "webhook_secret_file = /nonexistent/secret"),
            (),
            "[shipper] webhook_secret_file = /nonexistent/secret: No such file or directory",
        ),
    ],
)
def test_what_cannot_be_served(
    tmp_path: Path, gateway: S3Server, shipper: tuple[str, ...], arguments: tuple[str, ...], said: str
) -> None:
    done = program(tmp_path, gateway, *shipper).run("serve", *arguments)
    assert done.code == 2
    assert said in done.err


def test_the_secret_is_shown_nowhere(tmp_path: Path, gateway: S3Server) -> None:
    own = program(tmp_path, gateway, "listen = nowhere", f"webhook_secret = {SECRET}", "webhook_secret_file = secret")
    for arguments in (("-vv", "serve"), ("-vv", "serve", "--once")):
        done = own.run(*arguments)
        assert done.code == 2
        assert SECRET not in done.err + done.out
