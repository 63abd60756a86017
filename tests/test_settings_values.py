"""What the text of each kind of option becomes, and what is refused with which words."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from backupstore.errors import Misconfigured
from backupstore.settings import load
from tests.test_settings import EMPTY, ENOUGH, REQUIRED, read, refused

GOOD = [
    ("storage", "storage_provider", "LOCAL", "local"),
    ("storage", "storage_class", "standard_ia", "STANDARD_IA"),
    ("storage", "prefix", "", None),
    ("storage", "prefix", "cluster-a", "cluster-a"),
    ("storage", "fqdn", "n1,n2", "n1,n2"),
    ("storage", "max_backup_age", "+30", 30),
    ("storage", "port", "9000", 9000),
    ("storage", "port", "", None),
    ("storage", "transfer_max_bandwidth", "", None),
    ("storage", "transfer_max_bandwidth", "1.5 GB/s", 3 * 2**29),
    ("storage", "multipart_chunksize", "", 50 * 2**20),
    ("storage", "multipart_chunksize", "1024", 1024),
    ("storage", "region", "", "default"),
    ("storage", "sse_c_key", "A" * 43 + "=", "A" * 43 + "="),
    ("cassandra", "start_cmd", "sh -c 'a b'", ("sh", "-c", "a b")),
    ("cassandra", "nodetool_flags", "", ()),
    ("cassandra", "nodetool_flags", "-a  -b", ("-a", "-b")),
    ("cassandra", "nodetool_ssl", "true", True),
    ("cassandra", "nodetool_ssl", "False", False),
    ("cassandra", "certfile", "/c", Path("/c")),
    ("checks", "health_check", "ALL", "all"),
    ("checks", "query", "SELECT *\n  FROM a.b", "SELECT *\nFROM a.b"),
    ("monitoring", "monitoring_provider", "None", None),
    ("monitoring", "monitoring_provider", "dog-statsd", "dog-statsd"),
    ("monitoring", "monitoring_provider", "Cloud-Monitoring", "cloud-monitoring"),
    ("logging", "maxBytes", "1", 1),
    ("logging", "level", "debug", "DEBUG"),
    ("logging", "format", "%(message)s 100%%", "%(message)s 100%%"),
    ("kubernetes", "cassandra_url", "None", None),
    ("kubernetes", "cassandra_url", "http://127.0.0.1:8080/x", "http://127.0.0.1:8080/x"),
    ("shipper", "log_format", "JSON", "json"),
    ("shipper", "state_dir", "/x", Path("/x")),
    ("shipper", "command_keys_file", "", None),
    ("shipper", "command_queue", "", None),
]


@pytest.mark.parametrize(("section", "key", "text", "value"), GOOD)
def test_a_value_is_understood(tmp_path: Path, section: str, key: str, text: str, value: object) -> None:
    lines = [line for line in REQUIRED.splitlines() if not line.startswith(f"{key} ")]
    place = "" if section == "storage" else f"[{section}]"
    loaded = read(tmp_path, "\n".join([*lines, place, f"{key} = {text}"]))
    found = getattr(getattr(loaded.settings, section), key.lower())
    assert found == value
    assert loaded.warnings == ()


BAD = [
    (
        "storage",
        "storage_provider",
        "s4",
        "allowed: local, google_storage, azure_blobs, s3, s3_rgw, s3_compatible, ibm_storage",
    ),
    ("storage", "storage_provider", "s3_compatable", "did you mean s3_compatible?"),
    ("storage", "storage_provider", "s3_rgw", "needs its endpoint"),
    ("storage", "bucket_name", "a/b", "allowed: a name without '/'"),
    ("storage", "bucket_name", "..", "would not be one part of a path"),
    ("storage", "bucket_name", "", "is empty"),
    ("storage", "prefix", "a/b", "without a slash"),
    ("storage", "prefix", "index", "'index' is where the indexes lie"),
    ("storage", "fqdn", "a/b", "is no name of a node"),
    ("storage", "base_path", "", "needs the directory"),
    ("storage", "max_backup_age", "-1", "is too small, allowed: a whole number, at least 0"),
    ("storage", "max_backup_count", "many", "is no whole number"),
    ("storage", "max_backup_count", "0 ; none", "a comment needs a line of its own"),
    ("storage", "port", "65536", "allowed: a whole number from 1 to 65535"),
    ("storage", "secure", "maybe", "allowed: 1, true, yes, on, 0, false, no, off"),
    ("storage", "transfer_max_bandwidth", "0", "is too small"),
    ("storage", "transfer_max_bandwidth", "50mb", "in capitals"),
    ("storage", "multipart_chunksize", "1.5", "fraction of a byte"),
    ("storage", "concurrent_transfers", "0", "is too small"),
    ("storage", "host_file_separator", "", "is empty"),
    ("storage", "bucket_name", "b\n  prefix = p", "because that one is indented"),
    ("storage", "sse_c_key", "AAAA", "is the base64 of 3 bytes"),
    ("storage", "sse_c_key", "ä", "is no base64"),
    ("cassandra", "start_cmd", '"a', "no closing quotation"),
    ("cassandra", "stop_cmd", "''", "is empty"),
    ("cassandra", "nodetool_ssl", "True", "only the exact text 'true'"),
    ("cassandra", "sstableloader_ts", "/a", "missing: sstableloader_tspw, sstableloader_ks, sstableloader_kspw"),
    ("cassandra", "sstableloader_kspw", "a", "all or none"),
    ("cassandra", "usercert", "/a", "missing: userkey, certfile"),
    ("checks", "health_check", "thrift", "there is no Thrift in Cassandra 4 and later, allowed: cql, all"),
    ("monitoring", "monitoring_provider", "x", "allowed: None, local, dog-statsd, ffwd"),
    ("logging", "format", "%(asctime", "is no format"),
    ("logging", "level", "loud", "allowed: CRITICAL"),
    ("grpc", "tls_cert", "/a", "missing: ca_cert, tls_key"),
    ("kubernetes", "tls_key", "/a", "missing: ca_cert, tls_cert"),
    ("shipper", "state_dir", "here", "allowed: a path that begins with /"),
    ("shipper", "watch", "always", "allowed: auto, events, poll"),
    ("shipper", "incomplete_grace_days", "0", "is too small"),
    ("shipper", "listen", "8900", "names no address and port, allowed: an address and a port"),
    ("shipper", "listen", ":8900", "names no address and port"),
    ("shipper", "listen", "127.0.0.1:0", "is too small"),
    ("shipper", "listen", "127.0.0.1:http", "is no whole number"),
    ("shipper", "listen", "::1:8900", "stands in brackets"),
    ("shipper", "listen", "0.0.0.0:8900", "can be reached from other machines: set webhook_secret"),
    ("shipper", "listen", "[::]:8900", "can be reached from other machines"),
    ("shipper", "listen", "localhost.example:8900", "can be reached from other machines"),
    ("shipper", "webhook_secret_file", "secret", "allowed: a path that begins with /"),
    ("shipper", "webhook_secret_file", "/a\nwebhook_secret = b", "keep one of them"),
]


@pytest.mark.parametrize(("section", "key", "text", "complaint"), BAD)
def test_a_wrong_value_is_named(tmp_path: Path, section: str, key: str, text: str, complaint: str) -> None:
    lines = [line for line in REQUIRED.splitlines() if not line.startswith(f"{key} ")]
    place = "" if section == "storage" else f"[{section}]"
    (problem,) = refused(tmp_path, "\n".join([*lines, place, f"{key} = {text}"]))
    assert f"[{section}] " in problem
    assert complaint in problem


@given(st.sampled_from(["0", "false", "no", "off", "1", "true", "yes", "on"]), st.data())
def test_booleans_are_stocks_in_any_case(word: str, data: st.DataObject) -> None:
    text = "".join(data.draw(st.sampled_from([char.lower(), char.upper()])) for char in word)
    loaded = load(EMPTY, {**ENOUGH, "MEDUSA_CASSANDRA_USE_SUDO": text})
    assert loaded.settings.cassandra.use_sudo is (word in {"1", "true", "yes", "on"})


@given(
    st.text(max_size=6).filter(lambda text: text.lower() not in {"0", "false", "no", "off", "1", "true", "yes", "on"})
)
def test_anything_else_is_no_boolean(text: str) -> None:
    with pytest.raises(Misconfigured):
        load(EMPTY, {**ENOUGH, "MEDUSA_CASSANDRA_USE_SUDO": text})


@given(
    st.decimals(min_value="0.001", max_value=10**9, places=3),
    st.sampled_from(["B", "KB", "MB", "GB", "TB", "PB"]),
    st.sampled_from(["", "/s"]),
    st.sampled_from(["", " "]),
)
@example(Decimal(50), "MB", "/s", "")
def test_sizes_are_counted_in_1024(number: Decimal, unit: str, rate: str, space: str) -> None:
    expected = int(number * 1024 ** ["B", "KB", "MB", "GB", "TB", "PB"].index(unit))
    environ = {**ENOUGH, "MEDUSA_STORAGE_MULTIPART_CHUNKSIZE": f"{number}{space}{unit}{rate}"}
    if expected:
        assert load(EMPTY, environ).settings.storage.multipart_chunksize == expected
    else:
        with pytest.raises(Misconfigured, match="is too small"):
            load(EMPTY, environ)


@given(st.integers(min_value=1, max_value=10**18 - 1))
def test_a_bare_number_is_bytes(number: int) -> None:
    environ = {**ENOUGH, "MEDUSA_STORAGE_MULTIPART_CHUNKSIZE": str(number)}
    assert load(EMPTY, environ).settings.storage.multipart_chunksize == number


@pytest.mark.parametrize(
    ("provider", "region", "store", "signed"),
    [
        ("s3", "default", "s3", "us-east-1"),
        ("s3", "eu-west-3", "s3", "eu-west-3"),
        ("S3_US_WEST_OREGON", "default", "s3", "us-west-2"),
        ("s3_of_tomorrow", "mars-1", "s3", "mars-1"),
        ("s3_rgw", "default", "s3_rgw", "us-east-1"),
        ("s3_compatible", "default", "s3_compatible", "us-east-1"),
        ("ibm_storage", "eu-de", "ibm_storage", "eu-de"),
    ],
)
def test_a_provider_is_found_by_its_exact_name(provider: str, region: str, store: str, signed: str) -> None:
    environ = {**ENOUGH, "MEDUSA_STORAGE_STORAGE_PROVIDER": provider, "MEDUSA_STORAGE_REGION": region}
    storage = load(EMPTY, {**environ, "MEDUSA_STORAGE_HOST": "h"}).settings.storage
    assert (storage.provider, storage.s3_region) == (store, signed)
