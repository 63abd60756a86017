"""Options of ``[storage]`` about providers of apache-libcloud, as they show on the wire and in what is refused."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backupstore.errors import Misconfigured, Retryable
from backupstore.settings import Settings
from backupstore.stores.libcloud.configured import access_of, configured
from backupstore.stores.libcloud.store import LibcloudStore
from backupstore.wiring import open_store
from tests.clocks import SettableClock
from tests.conformance.samples import MIB, whole
from tests.harness.s3_servers import S3Server, minio
from tests.settings.shown import settings, shows

BUCKET = "backups"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with minio(tmp_path_factory.mktemp("minio"), tls=True) as running:
        running.bucket(BUCKET)
        yield running


def given(folder: Path, arguments: object, provider: str = "libcloud_minio", **storage: object) -> Settings:
    file = folder / "key.json"
    file.write_text(arguments if isinstance(arguments, str) else json.dumps(arguments), encoding="utf-8")
    least = {"storage_provider": provider, "bucket_name": BUCKET, "key_file": file}
    ca_file = storage.pop("ca_file", None)
    return settings(folder, storage={**least, **storage}, shipper={"ca_file": ca_file})


def at(server: S3Server, folder: Path, **storage: object) -> Settings:
    arguments = {"key": server.access, "secret": server.secret}
    place: dict[str, Any] = {"host": server.host, "port": server.port, "secure": "True", "ca_file": server.authority}
    return given(folder, arguments, **(place | storage))


@shows(
    "storage.storage_provider",
    "storage.bucket_name",
    "storage.key_file",
    "storage.host",
    "storage.port",
    "storage.secure",
    "shipper.ca_file",
)
def test_the_container_is_asked_for_where_the_settings_say(server: S3Server, tmp_path: Path) -> None:
    store = open_store(at(server, tmp_path))
    assert isinstance(store, LibcloudStore)
    store.create("place/a", b"body")
    with server.boto() as boto:
        assert boto.get_object(Bucket=BUCKET, Key="place/a")["Body"].read() == b"body"
    with pytest.raises(Misconfigured, match="not trusted"):
        open_store(at(server, tmp_path, ca_file=None)).head("place/a")


@shows("storage.region")
def test_what_the_driver_takes_is_given_to_it(tmp_path: Path) -> None:
    arguments = {"key": "u", "secret": "p", "ex_force_auth_url": "https://keystone.test:5000", "ex_tenant_name": "t"}
    access = access_of(given(tmp_path, arguments, "libcloud_openstack_swift", region="RegionOne"))
    assert access.arguments == {**arguments, "region": "RegionOne", "secure": True}
    assert access.where == "backups at openstack_swift"


@pytest.mark.parametrize(
    ("provider", "hint"),
    [
        ("libcloud_local", "storage_provider = local"),
        ("libcloud_azure_blobs", "storage_provider = azure_blobs"),
        ("libcloud_google_storage", "storage_provider = google_storage"),
        ("libcloud_s3_eu_west", "storage_provider = s3"),
        ("libcloud_backblaze_b2", "storage_provider = s3_compatible"),
        ("libcloud_aliyun_oss", "storage_provider = s3_compatible"),
        ("libcloud_tape", "libcloud_openstack_swift, "),
    ],
)
def test_what_is_better_done_or_not_known_is_refused(tmp_path: Path, provider: str, hint: str) -> None:
    with pytest.raises(Misconfigured, match=provider) as caught:
        open_store(given(tmp_path, {"key": "k"}, provider))
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("nothing", "no JSON"),
        ("[]", "no JSON object with a key"),
        ({"secret": "s"}, "no JSON object with a key"),
        ({"key": "k", "colour": "red"}, "colour"),
    ],
)
def test_a_key_file_that_the_driver_does_not_take_is_named(tmp_path: Path, arguments: object, said: str) -> None:
    with pytest.raises(Misconfigured, match=said) as caught:
        open_store(given(tmp_path, arguments, host="h"))
    assert "docs/guides/libcloud.md" in caught.value.hint


def test_without_a_key_file_nobody_is_asked(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="key_file is not set"):
        open_store(given(tmp_path, {}, key_file=None))


@pytest.mark.parametrize("name", ["kms_id", "storage_class"])
def test_what_cannot_be_said_to_every_driver_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(Misconfigured, match=name):
        open_store(given(tmp_path, {"key": "k"}, **{name: "x"}))


def test_the_extra_is_named_where_libcloud_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("backupstore.stores.libcloud")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "libcloud", None)
    monkeypatch.setitem(sys.modules, "libcloud.storage.base", None)
    with pytest.raises(Misconfigured, match="not installed") as caught:
        open_store(given(tmp_path, {"key": "k"}))
    assert "pip install '.[libcloud]'" in caught.value.hint


@shows("storage.read_timeout")
def test_an_answer_that_does_not_come_is_not_waited_for_longer(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        place = {"host": "127.0.0.1", "port": silent.getsockname()[1], "secure": "False", "read_timeout": 1}
        store = open_store(given(tmp_path, {"key": "k", "secret": "s"}, **place), patient=False)
        with pytest.raises(Retryable, match="no answer"):
            store.head("a")


@shows("storage.transfer_max_bandwidth")
@pytest.mark.parametrize(("cap", "least"), [("1MB/s", 3.0), ("", 0.0)])
def test_the_cap_holds_data_back(server: S3Server, tmp_path: Path, cap: str, least: float) -> None:
    clock = SettableClock()
    store = configured(at(server, tmp_path, transfer_max_bandwidth=cap), clock)
    begun = clock.running()
    store.upload(f"cap-{least}", whole(4 * MIB))
    assert least <= clock.running() - begun <= least + 2.0
    begun = clock.running()
    store.fetch(f"cap-{least}", lambda _: None)
    assert least <= clock.running() - begun <= least + 2.0
