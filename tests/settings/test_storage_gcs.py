"""Options of ``[storage]`` about Google Cloud Storage, as they show on the wire of a server that speaks as it does."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from backupstore.errors import Misconfigured, Retryable
from backupstore.settings import Settings, load
from backupstore.stores.gcs.configured import configured, place_of, tokens_for
from backupstore.stores.gcs.store import GcsStore
from backupstore.stores.gcs.tokens import GoogleTokens, NoTokens
from backupstore.stores.http.configured import wire_of
from backupstore.stores.http.pool import Pool
from backupstore.wiring import open_store
from tests.clocks import SettableClock
from tests.conformance.samples import MIB, whole
from tests.harness.faulty_proxy import FaultyProxy, faulty_proxy
from tests.harness.gcs_server import HOST, GcsServer, fake_gcs
from tests.settings.shown import ini, settings, shows

BUCKET = "backups"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GcsServer]:
    with fake_gcs(tmp_path_factory.mktemp("fake-gcs")) as running:
        running.bucket(BUCKET)
        yield running


@pytest.fixture
def proxy(server: GcsServer) -> Iterator[FaultyProxy]:
    with faulty_proxy(HOST, server.port) as running:
        yield running


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("STORAGE_EMULATOR_HOST", *(f"{each}_proxy" for each in ("http", "https", "all", "no"))):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return monkeypatch


def given(folder: Path, port: int, **storage: object) -> Settings:
    least = {"storage_provider": "google_storage", "bucket_name": BUCKET, "host": HOST, "port": port, "secure": "False"}
    return settings(folder, storage={**least, **storage})


@shows("storage.storage_provider", "storage.bucket_name", "storage.host", "storage.port", "storage.secure")
def test_the_bucket_is_asked_for_where_host_and_port_say(proxy: FaultyProxy, tmp_path: Path) -> None:
    store = open_store(given(tmp_path, proxy.port))
    assert isinstance(store, GcsStore)
    store.create("place/a", b"body")
    ((method, target, headers),) = proxy.requests
    assert (method, urlsplit(target).path) == ("POST", f"/upload/storage/v1/b/{BUCKET}/o")
    assert headers["host"] == f"{HOST}:{proxy.port}"


def test_without_a_host_it_is_googles(tmp_path: Path) -> None:
    place = place_of(settings(tmp_path, storage={"storage_provider": "google_storage", "bucket_name": "b"}).storage)
    assert str(place) == "https://storage.googleapis.com/b"


@shows("storage.host")
@pytest.mark.parametrize(("provider", "obeys"), [("google_storage", True), ("Google_Storage", True), ("s3", False)])
def test_the_variable_of_googles_clients_names_an_emulator(tmp_path: Path, provider: str, obeys: bool) -> None:  # noqa: FBT001
    file = ini(tmp_path, storage={"storage_provider": provider})
    storage = load(file, {"STORAGE_EMULATOR_HOST": "http://127.0.0.1:4443"}).settings.storage
    assert (storage.host is not None) == obeys
    if obeys:
        place = place_of(storage)
        assert (place.host, place.port, place.secure) == ("127.0.0.1", 4443, False)


def test_a_host_of_ones_own_goes_before_that_variable(tmp_path: Path) -> None:
    file = ini(tmp_path, storage={"storage_provider": "google_storage", "host": "storage.example.com"})
    place = place_of(load(file, {"STORAGE_EMULATOR_HOST": "http://127.0.0.1:4443"}).settings.storage)
    assert (place.host, place.port, place.secure) == ("storage.example.com", 443, True)


@pytest.mark.parametrize("host", ["ftp://a", "http://", "http://a:x", "http://a:99999", "http://a/path"])
def test_an_address_that_is_none_is_named(tmp_path: Path, host: str) -> None:
    with pytest.raises(Misconfigured, match=r"host = .*is no address") as caught:
        open_store(given(tmp_path, 1, host=host))
    assert "STORAGE_EMULATOR_HOST" in caught.value.hint


@shows("storage.storage_class", "storage.kms_id")
def test_how_objects_are_kept_goes_with_each(server: GcsServer, proxy: FaultyProxy, tmp_path: Path) -> None:
    key = "projects/p/locations/l/keyRings/r/cryptoKeys/k"
    store = configured(given(tmp_path, proxy.port, storage_class="nearline", kms_id=key), SettableClock())
    store.create("kept/small", b"")
    store.upload("kept/large", whole(9 * MIB))
    for method, target, _ in proxy.requests:
        if method == "POST":
            assert parse_qs(urlsplit(target).query)["kmsKeyName"] == [key]
    assert {stored_class(server, name) for name in ("kept/small", "kept/large")} == {"NEARLINE"}


def stored_class(server: GcsServer, key: str) -> str:
    """As the server tells everybody."""
    with socket.create_connection((HOST, server.port)) as connection:
        path = f"/storage/v1/b/{BUCKET}/o/{key.replace('/', '%2F')}"
        connection.sendall(f"GET {path} HTTP/1.1\r\nhost: {HOST}\r\nconnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    return str(json.loads(answer.partition(b"\r\n\r\n")[2])["storageClass"])


@shows("storage.sse_c_key")
def test_a_key_that_goes_with_each_request_is_refused(tmp_path: Path) -> None:
    secret = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
    with pytest.raises(Misconfigured, match="sse_c_key") as caught:
        open_store(given(tmp_path, 1, sse_c_key=secret))
    assert "kms_id" in caught.value.hint


@shows("storage.key_file")
def test_whose_tokens_go_with_requests(tmp_path: Path) -> None:
    def chosen(**storage: object) -> object:
        options = given(tmp_path, 1, **storage).storage
        return tokens_for(options, place_of(options))

    assert isinstance(chosen(), NoTokens), "an emulator without TLS is not shown this machine's"
    assert isinstance(chosen(key_file=tmp_path / "key.json"), GoogleTokens)
    assert isinstance(chosen(secure="True"), GoogleTokens)
    assert isinstance(chosen(host=None, secure=None), GoogleTokens)


@shows("shipper.ca_file")
def test_a_server_whose_authority_is_named_is_believed(tmp_path: Path) -> None:
    with fake_gcs(tmp_path, tls=True) as server:
        assert server.authority

        def connect(**shipper: object) -> None:
            storage = {"storage_provider": "google_storage", "host": server.url}
            options = settings(tmp_path, storage=storage, shipper=shipper)
            place = place_of(options.storage)
            pool = Pool(place, wire_of(options, place, SettableClock()), SettableClock())
            connection, _ = pool.take()
            connection.close()

        with pytest.raises(ssl.SSLCertVerificationError):
            connect()
        connect(ca_file=server.authority)


@shows("storage.read_timeout")
def test_an_answer_that_does_not_come_is_not_waited_for_longer(tmp_path: Path) -> None:
    with socket.create_server((HOST, 0)) as silent:
        store = open_store(given(tmp_path, silent.getsockname()[1], read_timeout=1), patient=False)
        with pytest.raises(Retryable, match="no answer in time"):
            store.head("a")


@shows("storage.transfer_max_bandwidth")
@pytest.mark.parametrize(("cap", "least"), [("1MB/s", 3.0), ("2MB/s", 1.5), ("", 0.0)])
def test_the_cap_holds_data_back(proxy: FaultyProxy, tmp_path: Path, cap: str, least: float) -> None:
    clock = SettableClock()
    store = configured(given(tmp_path, proxy.port, transfer_max_bandwidth=cap), clock)
    begun = clock.running()
    store.upload(f"cap-{least}", whole(4 * MIB))
    assert least <= clock.running() - begun <= least + 2.0
    begun = clock.running()
    store.fetch(f"cap-{least}", lambda _: None)
    assert least <= clock.running() - begun <= least + 2.0
