"""Options of ``[storage]`` about S3, as they show on the wire."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from backupstore.errors import Misconfigured
from backupstore.stores.http.connection import Broken, Request
from backupstore.stores.http.pool import Pool
from backupstore.stores.s3.configured import configured, endpoint_of, wire_of
from backupstore.stores.s3.store import S3Store
from backupstore.wiring import open_store
from tests.clocks import SettableClock
from tests.conformance.samples import MIB, whole
from tests.harness import s3_servers
from tests.settings.s3_recorder import Recorder, Sent, recorder
from tests.settings.shown import settings, shows

SECRET = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
_OURS = ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_CA_BUNDLE")


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in (*_OURS, *(f"{each}_proxy" for each in ("http", "https", "all", "no"))):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return monkeypatch


@pytest.fixture
def server() -> Iterator[Recorder]:
    with recorder() as running:
        yield running


def store_at(server: Recorder, folder: Path, **storage: object) -> S3Store:
    """A store that talks to the recorder, with these options in its file."""
    keys = folder / "keys"
    keys.write_text(
        "[default]\naws_access_key_id = ONE\naws_secret_access_key = s\n"
        "[other]\naws_access_key_id = TWO\naws_secret_access_key = s\n"
    )
    least = {"storage_provider": "s3_compatible", "host": "127.0.0.1", "port": server.port, "secure": "False"}
    given = settings(folder, storage={**least, "key_file": keys, **storage})
    store = configured(given, SettableClock())
    assert isinstance(store, S3Store)
    return store


def created(server: Recorder, folder: Path, **storage: object) -> Sent:
    """How the creation of one object came."""
    store_at(server, folder, **storage).create("a", b"body")
    return server.only("PUT")


@shows("storage.bucket_name", "storage.host", "storage.port", "storage.secure")
def test_the_bucket_is_asked_for_where_host_and_port_say(server: Recorder, tmp_path: Path) -> None:
    sent = created(server, tmp_path, bucket_name="backups")
    assert (sent.path, sent.headers["host"]) == ("/backups/a", f"127.0.0.1:{server.port}")


@shows("storage.secure", "storage.ssl_verify")
def test_secure_speaks_tls_and_ssl_verify_believes_no_stranger(tmp_path: Path) -> None:
    with recorder(s3_servers.certificate(tmp_path)) as server:
        assert created(server, tmp_path, secure="True", ssl_verify="False").path == "/bucket/a"
        with pytest.raises(Misconfigured, match="certificate"):
            store_at(server, tmp_path, secure="True", ssl_verify="True").create("b", b"")
        assert len(server.requests) == 1


@shows("storage.region")
@pytest.mark.parametrize(("given", "signed"), [(None, "us-east-1"), ("eu-west-3", "eu-west-3")])
def test_the_region_is_signed_for(server: Recorder, tmp_path: Path, given: str | None, signed: str) -> None:
    assert f"/{signed}/s3/aws4_request" in created(server, tmp_path, region=given).headers["authorization"]


@shows("storage.key_file", "storage.api_profile")
@pytest.mark.parametrize(("profile", "key"), [(None, "ONE"), ("other", "TWO")])
def test_keys_come_from_the_file_and_the_profile(
    server: Recorder, tmp_path: Path, profile: str | None, key: str
) -> None:
    assert f"Credential={key}/" in created(server, tmp_path, api_profile=profile).headers["authorization"]


@shows("storage.s3_addressing_style")
@pytest.mark.parametrize(
    ("style", "place"), [("auto", "s3.test/bucket/a"), ("path", "s3.test/bucket/a"), ("virtual", "bucket.s3.test/a")]
)
def test_the_addressing_style_places_the_bucket(
    server: Recorder, environment: pytest.MonkeyPatch, tmp_path: Path, style: str, place: str
) -> None:
    environment.setenv("http_proxy", f"http://127.0.0.1:{server.port}")  # no name server knows the host
    sent = created(server, tmp_path, host="s3.test", port=80, s3_addressing_style=style)
    assert sent.headers["host"] + sent.path == place


@shows("storage.storage_class", "storage.kms_id", "storage.sse_c_key")
@pytest.mark.parametrize(
    ("key", "value", "header"),
    [
        ("storage_class", "STANDARD_IA", "x-amz-storage-class"),
        ("kms_id", "arn:aws:kms:key", "x-amz-server-side-encryption-aws-kms-key-id"),
        ("sse_c_key", SECRET, "x-amz-server-side-encryption-customer-key"),
    ],
)
def test_how_objects_are_kept_goes_with_each(
    server: Recorder, tmp_path: Path, key: str, value: str, header: str
) -> None:
    secure = {"sse_c_key": {"secure": "False"}}.get(key, {})
    assert created(server, tmp_path, **{key: value}, **secure).headers[header] == value


@shows("shipper.server_side_encryption")
def test_the_store_is_asked_to_encrypt(server: Recorder, tmp_path: Path) -> None:
    least = {"storage_provider": "s3_compatible", "host": "127.0.0.1", "port": server.port, "secure": "False"}
    store_at(server, tmp_path).close()  # for its keys
    given = settings(
        tmp_path, storage={**least, "key_file": tmp_path / "keys"}, shipper={"server_side_encryption": "AES256"}
    )
    configured(given, SettableClock()).create("a", b"")
    assert server.only("PUT").headers["x-amz-server-side-encryption"] == "AES256"


@shows("shipper.ca_file")
def test_a_server_whose_authority_is_named_is_believed(tmp_path: Path) -> None:
    certificate = s3_servers.certificate(tmp_path)
    with recorder(certificate) as server:
        store_at(server, tmp_path).close()  # for its keys
        storage = {"storage_provider": "s3_compatible", "host": "127.0.0.1", "port": server.port, "ssl_verify": "True"}
        given = settings(tmp_path, storage={**storage, "key_file": tmp_path / "keys"}, shipper={"ca_file": certificate})
        configured(given, SettableClock()).create("a", b"")
        assert server.only("PUT").path == "/bucket/a"


@shows("storage.multi_part_upload_threshold", "storage.multipart_chunksize")
@pytest.mark.parametrize(
    ("threshold", "chunk", "sizes"), [("20MB", "5MB", []), ("8MB", "5MB", [5, 5, 2]), ("8MB", "6MB", [6, 6])]
)
def test_large_files_go_in_parts_of_the_given_size(
    server: Recorder, tmp_path: Path, threshold: str, chunk: str, sizes: list[int]
) -> None:
    store = store_at(server, tmp_path, multi_part_upload_threshold=threshold, multipart_chunksize=chunk)
    store.upload("a", whole(12 * MIB))
    assert sorted(each.size for each in server.parts) == sorted(size * MIB for size in sizes)


@shows("storage.multipart_max_concurrency")
def test_so_many_parts_are_on_their_way_at_once(server: Recorder, tmp_path: Path) -> None:
    server.gate = threading.Barrier(3)  # answers none of three before all are there
    sizes = {"multi_part_upload_threshold": "8MB", "multipart_chunksize": "5MB"}
    store_at(server, tmp_path, **sizes, multipart_max_concurrency=3).upload("a", whole(15 * MIB))
    assert len(server.parts) == 3


@shows("storage.read_timeout")
def test_an_answer_that_does_not_come_is_not_waited_for_longer(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        storage = {"storage_provider": "s3_compatible", "host": "127.0.0.1", "port": silent.getsockname()[1]}
        given = settings(tmp_path, storage={**storage, "secure": "False", "read_timeout": 1})
        endpoint = endpoint_of(given.storage)
        pool = Pool(endpoint, wire_of(given, endpoint, SettableClock()), SettableClock())
        connection, _ = pool.take()
        with pytest.raises(Broken):
            connection.ask(Request(head=b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"))
        connection.close()


@shows("storage.transfer_max_bandwidth")
@pytest.mark.parametrize(("cap", "least"), [("1MB/s", 3.0), ("2MB/s", 1.5), ("", 0.0)])
def test_the_cap_holds_data_back(server: Recorder, tmp_path: Path, cap: str, least: float) -> None:
    clock = SettableClock()
    begun = clock.running()
    keys = store_at(server, tmp_path)  # for its files
    keys.close()
    storage = {"storage_provider": "s3_compatible", "host": "127.0.0.1", "port": server.port, "secure": "False"}
    storage |= {"key_file": tmp_path / "keys", "transfer_max_bandwidth": cap}
    configured(settings(tmp_path, storage=storage), clock).upload("a", whole(4 * MIB))
    assert least <= clock.running() - begun <= least + 2.0


@shows("storage.storage_provider")
@pytest.mark.parametrize("provider", ["s3", "s3_us_west_oregon", "s3_compatible", "s3_rgw", "ibm_storage"])
def test_each_provider_of_s3_opens_such_a_store(tmp_path: Path, provider: str) -> None:
    assert isinstance(open_store(settings(tmp_path, storage={"storage_provider": provider, "host": "h"})), S3Store)
