"""From ``medusa.ini`` to an S3 store: every option about S3 reaches what it is about."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from backupstore.errors import Misconfigured
from backupstore.settings import Settings, load
from backupstore.stores.http.pool import Wire
from backupstore.stores.s3 import configured as c
from backupstore.stores.s3.configured import configured
from backupstore.stores.s3.options import Storing
from backupstore.wiring import open_store
from tests.clocks import SettableClock
from tests.conformance.samples import MIB, fetched_sha256, whole
from tests.harness.s3_servers import REGION, S3Server

BUCKET = "backups"
KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
OWN = {"storage_provider": "s3_compatible", "host": "s3.test", "port": "9000"}
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Neither proxies nor credentials of this machine."""
    for name in [*PROXIES, *map(str.upper, PROXIES), "AWS_CA_BUNDLE", "AWS_PROFILE", "AWS_ACCESS_KEY_ID"]:
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def settings(shipper: dict[str, str] | None = None, /, **storage: str) -> Settings:
    """As they are loaded from the environment."""
    values = {"storage_provider": "s3", "bucket_name": BUCKET, "fqdn": "n1", **storage}
    environ = {f"MEDUSA_STORAGE_{name.upper()}": value for name, value in values.items()}
    environ |= {f"MEDUSA_SHIPPER_{name.upper()}": value for name, value in (shipper or {}).items()}
    return load(None, environ).settings


def endpoint(**storage: str) -> str:
    return str(c.endpoint_of(settings(**storage).storage))


class TestWhere:
    @pytest.mark.parametrize(
        ("storage", "url"),
        [
            ({}, "https://backups.s3.us-east-1.amazonaws.com/"),
            ({"region": "eu-west-3"}, "https://backups.s3.eu-west-3.amazonaws.com/"),
            ({"storage_provider": "s3_us_west_oregon"}, "https://backups.s3.us-west-2.amazonaws.com/"),
            ({"storage_provider": "S3_CN_NORTH"}, "https://backups.s3.cn-north-1.amazonaws.com.cn/"),
            ({"s3_addressing_style": "path"}, "https://s3.us-east-1.amazonaws.com/backups"),
            ({"bucket_name": "with.dots"}, "https://s3.us-east-1.amazonaws.com/with.dots"),
            ({"host": "vpce-1.s3.amazonaws.com"}, "https://vpce-1.s3.amazonaws.com/backups"),
            (OWN, "https://s3.test:9000/backups"),
            (OWN | {"secure": "False"}, "http://s3.test:9000/backups"),
            (OWN | {"s3_addressing_style": "virtual"}, "https://backups.s3.test:9000/"),
            ({"storage_provider": "s3_rgw", "host": "rgw.test"}, "https://rgw.test/backups"),
            ({"storage_provider": "ibm_storage", "host": "s3.eu.cloud.test"}, "https://s3.eu.cloud.test/backups"),
            (
                {"storage_provider": "s3_rgw", "host": "::1", "secure": "no", "port": "7480"},
                "http://[::1]:7480/backups",
            ),
        ],
    )
    def test_the_bucket_is_found(self, storage: dict[str, str], url: str) -> None:
        assert endpoint(**storage) == url

    def test_the_region_is_signed_for(self) -> None:
        assert c.endpoint_of(settings(region="eu-west-3", **OWN).storage).region == "eu-west-3"
        assert c.endpoint_of(settings(**OWN).storage).region == "us-east-1"


class TestHowToConnect:
    def wire(self, shipper: dict[str, str] | None = None, /, **storage: str) -> Wire:
        given = settings(shipper, **storage)
        return c.wire_of(given, c.endpoint_of(given.storage), SettableClock())

    def test_certificates(self, environment: pytest.MonkeyPatch) -> None:
        assert self.wire().verify
        assert not self.wire(**OWN).verify
        assert self.wire(api_profile="absent").ca_file is None, "whoever asks it for keys is told that it is absent"
        assert self.wire(**OWN, ssl_verify="True").verify
        environment.setenv("AWS_CA_BUNDLE", "/etc/bundle.pem")
        bundled = self.wire(**OWN)
        assert (bundled.verify, bundled.ca_file) == (False, Path("/etc/bundle.pem"))
        ours = self.wire({"ca_file": "/etc/ours.pem"}, **OWN)
        assert (ours.verify, ours.ca_file) == (True, Path("/etc/ours.pem"))

    def test_a_file_of_authorities_that_is_none_is_said(self, tmp_path: Path) -> None:
        with pytest.raises(Misconfigured, match="absent"):
            configured(settings({"ca_file": str(tmp_path / "absent")}, **OWN), SettableClock())

    def test_patience_and_caps(self) -> None:
        assert self.wire().read_timeout == 60
        assert self.wire(read_timeout="7").read_timeout == 7
        capped = self.wire(transfer_max_bandwidth="1MB/s").bandwidth
        assert capped is not None
        assert capped.piece == MIB // 20
        assert self.wire(transfer_max_bandwidth="").bandwidth is None

    def test_proxies_are_those_of_the_environment(self, environment: pytest.MonkeyPatch) -> None:
        environment.setenv("https_proxy", "http://user:secret@proxy.test:3128")
        environment.setenv("http_proxy", "proxy.test:80")
        environment.setenv("no_proxy", "near.test,.inside.test")
        assert self.wire().proxy == "http://user:secret@proxy.test:3128"
        assert self.wire(**OWN | {"secure": "no"}).proxy == "http://proxy.test:80"
        assert self.wire(**OWN | {"host": "near.test"}).proxy is None
        assert self.wire(**OWN | {"host": "s3.inside.test"}).proxy is None
        environment.delenv("https_proxy")
        environment.setenv("ALL_PROXY", "http://any.test:1")
        assert self.wire().proxy == "http://any.test:1"

    @pytest.mark.parametrize(
        "proxy", ["socks5://proxy.test:1080", "https://proxy.test:3128", "http://proxy.test:port", "http://:80", "://"]
    )
    def test_a_proxy_that_is_not_spoken_is_said(self, environment: pytest.MonkeyPatch, proxy: str) -> None:
        environment.setenv("https_proxy", proxy)
        with pytest.raises(Misconfigured, match="http://host:port") as caught:
            self.wire()
        assert "no_proxy" in caught.value.hint


class TestHowToStore:
    def test_defaults_are_those_of_stock(self) -> None:
        storing = c.storing_of(settings())
        assert (storing.threshold, storing.part_size, storing.parts_at_once) == (20 * MIB, 50 * MIB, 4)
        assert storing.creating == {}

    def test_parts(self) -> None:
        storing = c.storing_of(
            settings(multi_part_upload_threshold="64MB", multipart_chunksize="16MB", multipart_max_concurrency="3")
        )
        assert (storing.threshold, storing.part_size, storing.parts_at_once) == (64 * MIB, 16 * MIB, 3)

    @pytest.mark.parametrize(
        ("shipper", "storage", "header", "value"),
        [
            ({}, {"storage_class": "standard_ia"}, "x-amz-storage-class", "STANDARD_IA"),
            ({}, {"kms_id": "arn:key"}, "x-amz-server-side-encryption-aws-kms-key-id", "arn:key"),
            ({}, {"sse_c_key": KEY}, "x-amz-server-side-encryption-customer-key", KEY),
            ({"server_side_encryption": "aes256"}, {}, "x-amz-server-side-encryption", "AES256"),
        ],
    )
    def test_what_creates_objects_says_it(
        self, shipper: dict[str, str], storage: dict[str, str], header: str, value: str
    ) -> None:
        assert c.storing_of(settings(shipper, **storage)).creating[header] == value

    @pytest.mark.parametrize(
        ("shipper", "storage"),
        [
            ({}, {"kms_id": "a", "sse_c_key": KEY}),
            ({"server_side_encryption": "AES256"}, {"kms_id": "a"}),
            ({"server_side_encryption": "AES256"}, {"sse_c_key": KEY}),
        ],
    )
    def test_two_ways_to_encrypt_are_refused(self, shipper: dict[str, str], storage: dict[str, str]) -> None:
        with pytest.raises(Misconfigured, match="one way only") as caught:
            configured(settings(shipper, **storage), SettableClock())
        assert KEY not in caught.value.explained
        assert caught.value.hint


def test_without_its_packages_it_says_what_to_install(environment: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("backupstore.stores.s3")]:
        environment.delitem(sys.modules, name)
    environment.setitem(sys.modules, "awscrt.checksums", None)
    with pytest.raises(Misconfigured, match="awscrt") as caught:
        open_store(settings())
    assert "pip install '.[s3]'" in caught.value.hint


def test_no_option_about_s3_is_without_effect() -> None:
    """Each one that the document calls obeyed by S3 changes something that is made of the settings."""
    changes = {
        "storage_class": "GLACIER",
        "region": "eu-west-1",
        "host": "s3.test",
        "port": "9000",
        "secure": "False",
        "ssl_verify": "True",
        "s3_addressing_style": "path",
        "multi_part_upload_threshold": "1GB",
        "multipart_chunksize": "1GB",
        "multipart_max_concurrency": "9",
        "read_timeout": "9",
        "kms_id": "key",
        "sse_c_key": KEY,
    }
    before = OWN | {"host": "before.test", "port": "1"}

    def made(**storage: str) -> tuple[object, ...]:
        given = settings(**storage)
        where = c.endpoint_of(given.storage)
        wire = c.wire_of(given, where, SettableClock())
        return (where, wire.verify, wire.read_timeout, c.storing_of(given), Storing())

    for name, value in changes.items():
        start = {} if name == "s3_addressing_style" else before
        assert made(**start) != made(**start | {name: value}), name


def test_a_store_from_settings_works(over_tls: S3Server, tmp_path: Path) -> None:
    store = open_store(settings({"ca_file": str(over_tls.authority)}, **at(over_tls, tmp_path)))
    source = whole(11 * MIB)
    store.upload("a", source)
    assert fetched_sha256(store, "a") == source.sha256
    with pytest.raises(Misconfigured, match="certificate"):
        open_store(settings(**at(over_tls, tmp_path), ssl_verify="True")).head("a")


def at(server: S3Server, folder: Path) -> dict[str, str]:
    """The settings for a server, with a file of its keys."""
    file = folder / "keys"
    file.write_text(f"[backup]\naws_access_key_id = {server.access}\naws_secret_access_key = {server.secret}\n")
    return {
        "storage_provider": "s3_compatible",
        "host": server.host,
        "port": str(server.port),
        "region": REGION,
        "key_file": str(file),
        "api_profile": "backup",
        "multi_part_upload_threshold": "8MB",
        "multipart_chunksize": "5MB",
    }
