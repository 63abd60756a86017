"""cassandra.yaml: defaults, what stands there, and every mistake with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from backupstore.errors import Denied, Misconfigured
from shipper.cassandra.addresses import all_addresses, cql_address, of_interface, storage_address
from shipper.cassandra.configuration import Configuration, read_configuration
from shipper.cassandra.wire import Address
from tests.shipper.cassandra.users import unprivileged

FULL = """\
# a comment
cluster_name: 'Shop'
num_tokens: 16
initial_token: -9223372036854775808, 0
data_file_directories:
    - /data1
    - /data2
local_system_data_file_directory: /fast
commitlog_directory: /log/commitlog
hints_directory: /log/hints
saved_caches_directory: /log/caches
cdc_raw_directory: /log/cdc
listen_address: 10.0.0.5
broadcast_address: 192.0.2.5
rpc_address: 0.0.0.0
broadcast_rpc_address: 10.0.0.5
native_transport_port: 9042
native_transport_port_ssl: 9142
storage_port: 7010
ssl_storage_port: 7011
client_encryption_options:
    enabled: yes
server_encryption_options:
    enable_legacy_ssl_storage_port: true
seed_provider:
    - class_name: org.apache.cassandra.locator.SimpleSeedProvider
      parameters:
          - seeds: "10.0.0.5, 10.0.0.6:7010"
endpoint_snitch: GossipingPropertyFileSnitch
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "cassandra.yaml"
    path.write_text(text)
    return path


def configured(folder: Path, text: str) -> Configuration:
    return read_configuration(written(folder, text))


def test_everything_that_stands_there_is_read(tmp_path: Path) -> None:
    found = configured(tmp_path, FULL)
    assert found.cluster_name == "Shop"
    assert found.directories.data == (Path("/data1"), Path("/data2"), Path("/fast"))
    assert found.directories.beside_data == tuple(
        map(Path, ("/log/commitlog", "/log/hints", "/log/caches", "/log/cdc"))
    )
    assert (found.num_tokens, found.initial_tokens) == (16, ("-9223372036854775808", "0"))
    assert (found.seeds, found.snitch) == (("10.0.0.5", "10.0.0.6:7010"), "GossipingPropertyFileSnitch")
    assert found.ports.client_encryption
    assert (found.ports.cql(tls=False), found.ports.cql(tls=True)) == (9042, 9142)
    assert cql_address(found, tls=True) == Address("10.0.0.5", 9142)
    assert storage_address(found) == Address("10.0.0.5", 7010)
    assert sorted(each.port for each in all_addresses(found)) == [7010, 7011, 9042, 9142]


def test_what_is_absent_or_empty_is_as_cassandra_has_it(tmp_path: Path) -> None:
    found = configured(tmp_path, "cluster_name:\nlisten_address: localhost\nseed_provider:\n")
    assert found.directories.data == (Path("/var/lib/cassandra/data"),)
    assert [path.name for path in found.directories.beside_data] == ["commitlog", "hints", "saved_caches", "cdc_raw"]
    assert {path.parent for path in found.directories.beside_data} == {Path("/var/lib/cassandra")}
    assert (found.seeds, found.num_tokens, found.initial_tokens) == ((), None, ())
    assert (found.ports.native, found.ports.native_tls, found.ports.storage, found.ports.storage_tls) == (
        *(9042, None),
        *(7000, None),
    )
    assert storage_address(found) == Address("localhost", 7000)


def test_the_storage_directory_can_be_another_one(tmp_path: Path) -> None:
    found = read_configuration(written(tmp_path, "cluster_name: a\n"), Path("/srv"))
    assert (found.directories.data, found.directories.commitlog) == ((Path("/srv/data"),), Path("/srv/commitlog"))


def test_a_key_that_stands_there_twice_is_refused_without_its_values(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured) as failure:
        configured(tmp_path, "a: 1\nkeystore_password: hunter2\nkeystore_password: hunter3\n")
    assert 'cassandra.yaml:3: not YAML: found duplicate key "keystore_password"' in failure.value.message
    assert "hunter" not in failure.value.explained


def test_another_seed_provider_knows_its_seeds_itself(tmp_path: Path) -> None:
    assert configured(tmp_path, "seed_provider:\n  - class_name: org.example.Consul\n").seeds == ()


def test_all_mistakes_are_told_at_once_with_their_lines(tmp_path: Path) -> None:
    text = """\
data_file_directories: /data
commitlog_directory: relative
storage_port: 70000
native_transport_port: many
num_tokens: [1]
initial_token: 1, x
client_encryption_options: true
server_encryption_options:
    enable_legacy_ssl_storage_port: sometimes
seed_provider: 10.0.0.1
"""
    with pytest.raises(Misconfigured) as failure:
        configured(tmp_path, text)
    lines = [problem.removeprefix(f"{tmp_path}/cassandra.yaml:") for problem in failure.value.problems]
    assert sorted(lines, key=lambda line: int(line.partition(":")[0])) == [
        "1: data_file_directories must be a list of directories",
        "2: commitlog_directory must be a full path, not 'relative'",
        "3: storage_port must be a port from 1 to 65535, not 70000",
        "4: native_transport_port must be a whole number, not 'many'",
        "5: num_tokens must be a text",
        "6: initial_token 'x' is not a token of Murmur3Partitioner or RandomPartitioner",
        "7: client_encryption_options must have keys of its own",
        "8: server_encryption_options.enable_legacy_ssl_storage_port must be true or false",
        "10: seed_provider must be a list with one class_name and its parameters",
    ]
    assert "config_file" in failure.value.hint


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("a: [1\n", ":2: not YAML"),
        ("a: 1\n  b: 2\n", ":2: not YAML"),
        ("- a\n", "not YAML: there is no mapping"),
        ("", "not YAML: there is no mapping"),
        ("a: 2001-99-99\n", "not YAML"),
        ("a: !!python/object:os.system b\n", ":1: not YAML"),
        ("data_file_directories: [/a, /a]\n", "names a directory twice"),
        ("seed_provider: [{class_name: SimpleSeedProvider}]\n", "has no text called seeds"),
    ],
)
def test_what_is_no_configuration_is_refused(tmp_path: Path, text: str, what: str) -> None:
    with pytest.raises(Misconfigured) as failure:
        configured(tmp_path, text)
    assert what in failure.value.message


def test_a_file_that_is_not_there_or_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="No such file"):
        read_configuration(tmp_path / "none.yaml")
    with pytest.raises(Misconfigured, match="directory"):
        read_configuration(tmp_path)
    path = tmp_path / "cassandra.yaml"
    path.write_bytes(b"cluster_name: \xff\n")
    with pytest.raises(Misconfigured, match="UTF-8"):
        read_configuration(path)


def test_a_file_that_may_not_be_read_is_denied(tmp_path: Path) -> None:
    path = written(tmp_path, FULL)
    path.chmod(0)
    with unprivileged(), pytest.raises(Denied, match="may not be read"):
        read_configuration(path)


def test_an_interface_is_looked_up(tmp_path: Path) -> None:
    assert of_interface("lo") == "127.0.0.1"
    found = configured(tmp_path, "listen_interface: lo\nrpc_interface: lo\n")
    assert (storage_address(found).host, cql_address(found, tls=False).host) == ("127.0.0.1", "127.0.0.1")
    with pytest.raises(Misconfigured, match="nosuch0"):
        of_interface("nosuch0")


def test_without_any_address_it_is_the_machines_own(tmp_path: Path) -> None:
    assert cql_address(configured(tmp_path, "cluster_name: a\n"), tls=False).host


@pytest.mark.parametrize("wildcard", [".".join("0000"), '"::"'])
def test_the_wildcard_is_no_address_to_connect_to(tmp_path: Path, wildcard: str) -> None:
    found = configured(tmp_path, f"rpc_address: {wildcard}\nlisten_address: 10.0.0.7\n")
    assert cql_address(found, tls=False) == Address("10.0.0.7", 9042)
