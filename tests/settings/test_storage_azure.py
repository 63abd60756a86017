"""Options of ``[storage]`` about Azure, as they show on the wire of a server that speaks as it does."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from backupstore.clock import SystemClock
from backupstore.errors import Denied, Misconfigured, Retryable
from backupstore.settings import Settings
from backupstore.stores.azure.configured import configured, place_of
from backupstore.stores.azure.store import AzureStore
from backupstore.wiring import bucket_identity, open_store
from tests.clocks import SettableClock
from tests.conformance.samples import MIB, whole
from tests.harness.azurite import ACCOUNT, HOST, Azurite, azurite
from tests.harness.faulty_proxy import FaultyProxy, faulty_proxy
from tests.settings.shown import settings, shows

BUCKET = "backups"
ENCRYPTION = {"kms_id": "key", "sse_c_key": "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    with azurite(tmp_path_factory.mktemp("azurite")) as running:
        running.container(BUCKET)
        yield running


@pytest.fixture
def proxy(server: Azurite) -> Iterator[FaultyProxy]:
    with faulty_proxy(HOST, server.port) as running:
        yield running


@pytest.fixture(autouse=True)
def without_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def key_file(server: Azurite) -> Path:
    return server.key_file


def given(folder: Path, key_file: Path | None, **storage: object) -> Settings:
    least = {"storage_provider": "azure_blobs", "bucket_name": BUCKET, "key_file": key_file}
    return settings(folder, storage={**least, **storage})


@shows("storage.storage_provider", "storage.bucket_name", "storage.host", "storage.port", "storage.key_file")
def test_the_container_is_asked_for_where_host_says(proxy: FaultyProxy, key_file: Path, tmp_path: Path) -> None:
    for host, port in ((f"http://{HOST}:{proxy.port}", None), (f"http://{HOST}", proxy.port)):
        store = open_store(given(tmp_path, key_file, host=host, port=port))
        assert isinstance(store, AzureStore)
        store.put("place/a", b"body")
        method, target, headers = proxy.requests.pop()
        assert (method, urlsplit(target).path) == ("PUT", f"/{ACCOUNT}/{BUCKET}/place/a")
        assert headers["authorization"].startswith(f"SharedKey {ACCOUNT}:")


@shows("storage.host")
@pytest.mark.parametrize(
    ("host", "port", "place"),
    [
        (None, None, "https://lab.blob.core.windows.net/backups"),
        (None, 8443, "https://lab.blob.core.windows.net:8443/backups"),
        ("chinacloudapi.cn", None, "https://lab.blob.core.chinacloudapi.cn/backups"),
        ("https://blobs.example.com", None, "https://blobs.example.com/lab/backups"),
    ],
)
def test_host_is_the_domain_as_in_stock(tmp_path: Path, host: str | None, port: int | None, place: str) -> None:
    assert str(place_of(given(tmp_path, None, host=host, port=port).storage, ACCOUNT)) == place


@pytest.mark.parametrize("host", ["ftp://a", "http://", "http://a:x", "http://a:99999", "http://a/path"])
def test_an_address_that_is_none_is_named(tmp_path: Path, key_file: Path, host: str) -> None:
    with pytest.raises(Misconfigured, match=r"host = .*is no address"):
        open_store(given(tmp_path, key_file, host=host))


@shows("storage.key_file")
@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "key_file is not set"),
        ("", "no JSON with storage_account and key"),
        ("[]", "no JSON with storage_account and key"),
        ('{"storage_account": "a"}', "no JSON with storage_account and key"),
        ('{"storage_account": "a", "key": "%%"}', "no JSON with storage_account and key"),
        ('{"storage_account": "a\\nb", "key": "YQ=="}', "no JSON with storage_account and key"),
    ],
)
def test_a_key_file_that_is_none_is_named(tmp_path: Path, text: str | None, said: str) -> None:
    file = tmp_path / "key.json"
    if text is not None:
        file.write_text(text, encoding="utf-8")
    with pytest.raises(Misconfigured, match=said) as caught:
        open_store(given(tmp_path, None if text is None else file))
    assert "storage_account" in caught.value.hint


def test_a_missing_key_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="No such file"):
        open_store(given(tmp_path, tmp_path / "absent"))


def test_a_key_that_is_not_that_of_the_account_is_denied(server: Azurite, tmp_path: Path) -> None:
    file = tmp_path / "key.json"
    file.write_text(json.dumps({"storage_account": ACCOUNT, "key": "YW5vdGhlcg=="}), encoding="utf-8")
    with pytest.raises(Denied) as caught:
        open_store(given(tmp_path, file, host=server.url)).head("a")
    assert "key_file" in caught.value.hint


def test_the_same_container_of_another_account_is_another_bucket(tmp_path: Path) -> None:
    one, other = (given(tmp_path, tmp_path / name).storage for name in ("a", "b"))
    assert bucket_identity(one) != bucket_identity(other)


@shows("storage.storage_class")
@pytest.mark.parametrize("tier", ["Cool", "hot"])
def test_the_tier_goes_with_each_blob(proxy: FaultyProxy, key_file: Path, tmp_path: Path, tier: str) -> None:
    host = f"http://{HOST}:{proxy.port}"
    store = configured(given(tmp_path, key_file, host=host, storage_class=tier), SystemClock())
    store.put(f"{tier}/small", b"")
    store.upload(f"{tier}/large", whole(9 * MIB))
    made = [headers for method, target, headers in proxy.requests if method == "PUT" and "comp=block&" not in target]
    assert [headers["x-ms-access-tier"] for headers in made] == [tier.capitalize()] * 2


@shows("storage.storage_class")
def test_the_archive_is_no_place_for_backups(tmp_path: Path, key_file: Path) -> None:
    with pytest.raises(Misconfigured, match="ARCHIVE") as caught:
        open_store(given(tmp_path, key_file, storage_class="archive"))
    assert "hours" in caught.value.hint


@shows("storage.kms_id", "storage.sse_c_key")
@pytest.mark.parametrize("name", ENCRYPTION)
def test_keys_of_encryption_are_refused(tmp_path: Path, key_file: Path, name: str) -> None:
    with pytest.raises(Misconfigured, match=name) as caught:
        open_store(given(tmp_path, key_file, **{name: ENCRYPTION[name]}))
    assert "container" in caught.value.hint


@shows("shipper.ca_file")
def test_a_server_whose_authority_is_named_is_believed(tmp_path: Path) -> None:
    with azurite(tmp_path, tls=True) as server:
        server.container(BUCKET)
        storage = {
            "storage_provider": "azure_blobs",
            "bucket_name": BUCKET,
            "key_file": server.key_file,
            "host": server.url,
        }
        with pytest.raises(Misconfigured, match="not trusted"):
            open_store(settings(tmp_path, storage=storage)).put("a", b"")
        open_store(settings(tmp_path, storage=storage, shipper={"ca_file": server.authority})).put("a", b"")


@shows("storage.read_timeout")
def test_an_answer_that_does_not_come_is_not_waited_for_longer(tmp_path: Path, key_file: Path) -> None:
    with socket.create_server((HOST, 0)) as silent:
        host = f"http://{HOST}:{silent.getsockname()[1]}"
        store = open_store(given(tmp_path, key_file, host=host, read_timeout=1), patient=False)
        with pytest.raises(Retryable, match="no answer in time"):
            store.head("a")


@shows("storage.transfer_max_bandwidth")
@pytest.mark.parametrize(("cap", "least"), [("1MB/s", 3.0), ("", 0.0)])
def test_the_cap_holds_data_back(server: Azurite, key_file: Path, tmp_path: Path, cap: str, least: float) -> None:
    clock = SettableClock(SystemClock().now())
    store = configured(given(tmp_path, key_file, host=server.url, transfer_max_bandwidth=cap), clock)
    begun = clock.running()
    store.upload(f"cap-{least}", whole(4 * MIB))
    assert least <= clock.running() - begun <= least + 2.0
    begun = clock.running()
    store.fetch(f"cap-{least}", lambda _: None)
    assert least <= clock.running() - begun <= least + 2.0
