"""Options of ``[kubernetes]``: snapshots by HTTP, over mutual TLS, and how nodes are called."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from backupstore.errors import Misconfigured, NodeTrouble
from backupstore.settings import load
from shipper.cassandra.node import LocalNode
from shipper.cassandra.nodetool import Nodetool
from shipper.wiring import naming_of
from tests.harness import s3_servers
from tests.harness.s3_servers import free_port
from tests.recorded import RecordedNode
from tests.settings.management_api import PATH, Api, jolokia, management_api
from tests.settings.node import cassandra_yaml, wiring
from tests.settings.shown import ini, settings, shows
from tests.settings.test_cassandra import signed_by


@pytest.fixture(autouse=True)
def recorded(tmp_path: Path) -> RecordedNode:
    return RecordedNode.make(tmp_path / "node", disks=1)


@pytest.fixture
def api(recorded: RecordedNode) -> Iterator[Api]:
    with management_api(recorded) as running:
        yield running


def node_of(folder: Path, url: str, **kubernetes: object) -> LocalNode:
    """The node whose snapshots are taken there."""
    return wiring(
        settings(
            folder,
            cassandra={"config_file": cassandra_yaml(folder, data=folder / "node/data1")},
            kubernetes={"enabled": "1", "cassandra_url": url, "use_mgmt_api": "1", **kubernetes},
            shipper={"nodetool_timeout": "1"},
        )
    ).node


def at(port: int, scheme: str = "http") -> str:
    return f"{scheme}://127.0.0.1:{port}{PATH}"


@shows("kubernetes.enabled", "kubernetes.cassandra_url", "kubernetes.use_mgmt_api")
def test_snapshots_are_taken_and_cleared_by_the_management_api(api: Api, tmp_path: Path) -> None:
    node = node_of(tmp_path, at(api.port))
    node.snapshot("one")
    assert ("shop", "orders") in {(each.keyspace, each.table.partition("-")[0]) for each in node.snapshot_tables("one")}
    node.clear_snapshot("one")
    assert node.snapshot_tags("") == ()
    assert api.asked == [("POST", PATH, {"snapshot_name": "one"}), ("DELETE", f"{PATH}?snapshotNames=one", None)]


def test_keyspaces_and_tables_are_asked_for_apart(api: Api, tmp_path: Path) -> None:
    node_of(tmp_path, at(api.port)).snapshot("one", keyspaces=["system"], tables=["shop.orders"])
    assert [body for _, _, body in api.asked] == [
        {"snapshot_name": "one", "keyspaces": ["system"]},
        {"snapshot_name": "one", "keyspace_tables": ["shop.orders"]},
    ]


@shows("kubernetes.enabled")
def test_without_it_nodetool_takes_them(tmp_path: Path) -> None:
    given = settings(tmp_path, kubernetes={"enabled": "0", "cassandra_url": at(1)})
    assert isinstance(wiring(given).snapshots, Nodetool)


@shows("kubernetes.use_mgmt_api")
def test_jolokia_is_asked_where_there_is_no_management_api(recorded: RecordedNode, tmp_path: Path) -> None:
    with jolokia(recorded) as running:
        node = node_of(tmp_path, f"http://127.0.0.1:{running.port}/jolokia", use_mgmt_api="0")
        node.snapshot("one", tables=["shop.orders"])
        node.clear_snapshot("one")
        node.snapshot("two")
    assert {path for _, path, _ in running.asked} == {"/jolokia"}
    assert [body["arguments"] for _, _, body in running.asked] == [
        ["one", {}, ["shop.orders"]],
        ["one", []],
        ["two", {}, []],
    ]


def test_what_fails_inside_jolokia_is_an_error(recorded: RecordedNode, tmp_path: Path) -> None:
    with jolokia(recorded) as running:
        given = node_of(tmp_path, f"http://127.0.0.1:{running.port}/", use_mgmt_api="0")
        recorded.snapshot("there")
        with pytest.raises(NodeTrouble, match="Snapshot already exists"):
            given._commands.snapshot("there")


@shows("kubernetes.ca_cert", "kubernetes.tls_cert", "kubernetes.tls_key")
def test_both_sides_show_a_certificate(recorded: RecordedNode, tmp_path: Path) -> None:
    authority = s3_servers.certificate(tmp_path)
    client, key = signed_by(authority)
    files = {"ca_cert": authority, "tls_cert": client, "tls_key": key}
    with management_api(recorded, tmp_path) as running:
        for scheme, tag in (("https", "one"), ("http", "two")):  # as in stock, http means https then
            node = node_of(tmp_path, at(running.port, scheme), **files)
            node.snapshot(tag)
            assert tag in node.snapshot_tags(tag)
        with pytest.raises(NodeTrouble, match="does not answer") as caught:
            node_of(tmp_path, at(running.port, "https")).snapshot("three")
        assert "ca_cert" in caught.value.hint
        assert len(running.asked) == 2


def test_a_server_that_another_authority_signed_is_not_believed(recorded: RecordedNode, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    ours, theirs = s3_servers.certificate(tmp_path), s3_servers.certificate(tmp_path / "other")
    client, key = signed_by(ours)
    with management_api(recorded, tmp_path) as running:
        node = node_of(tmp_path, at(running.port, "https"), ca_cert=theirs, tls_cert=client, tls_key=key)
        with pytest.raises(NodeTrouble, match="self-signed certificate"):
            node.snapshot("one")
        assert running.asked == []


def test_files_that_are_no_certificates_are_named(tmp_path: Path) -> None:
    (tmp_path / "bad").write_text("no")
    files = dict.fromkeys(("ca_cert", "tls_cert", "tls_key"), tmp_path / "bad")
    with pytest.raises(Misconfigured, match=r"\[kubernetes\]"):
        node_of(tmp_path, at(1, "https"), **files).snapshot("one")


def test_what_it_refuses_is_said(api: Api, tmp_path: Path) -> None:
    with pytest.raises(NodeTrouble, match="404 no such resource") as caught:
        node_of(tmp_path, f"http://127.0.0.1:{api.port}/api/v0/snapshot").snapshot("one")
    assert "cassandra_url" in caught.value.hint


def test_nobody_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(NodeTrouble, match="Connection refused"):
        node_of(tmp_path, at(free_port())).snapshot("one")


def test_an_answer_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(NodeTrouble) as caught:
        node_of(tmp_path, at(silent.getsockname()[1])).snapshot("one")
    assert "nodetool_timeout" in caught.value.hint


@pytest.mark.parametrize(
    "url", ["127.0.0.1:8080/api", "ftp://a/b", "http://", "http://a:b/", "http://u:p@h/", "http://h/?q"]
)
def test_a_url_that_is_none_is_a_mistake_in_the_settings(tmp_path: Path, url: str) -> None:
    with pytest.raises(Misconfigured, match="cassandra_url"):
        load(ini(tmp_path, kubernetes={"enabled": "1", "cassandra_url": url}), {})


def test_enabled_without_a_url_is_a_mistake_in_the_settings(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="cassandra_url"):
        load(ini(tmp_path, kubernetes={"enabled": "1"}), {})


@shows("kubernetes.pod_ip", "kubernetes.enabled")
def test_the_node_is_called_by_its_pods_address_and_so_are_the_others(tmp_path: Path) -> None:
    kubernetes = {"enabled": "1", "cassandra_url": at(1)}
    naming = naming_of(settings(tmp_path, {"POD_IP": "10.1.2.3"}, kubernetes=kubernetes))
    assert naming.own() == "10.1.2.3", "before fqdn of the file, as in stock"
    assert naming.ring("me")("me", "127.0.0.1") == "10.1.2.3"
    assert naming.ring("me")("other", "127.0.0.1") == "127.0.0.1", "whatever the name server says"
    off = naming_of(settings(tmp_path, {"POD_IP": "10.1.2.3"}, kubernetes={"enabled": "0"}))
    assert off.own() == "n1"


def test_who_types_a_node_means_that_one(tmp_path: Path) -> None:
    file = ini(tmp_path, kubernetes={"enabled": "1", "cassandra_url": at(1)})
    assert load(file, {"POD_IP": "10.1.2.3"}, {"fqdn": "n7"}).settings.storage.fqdn == "n7"
    with pytest.raises(Misconfigured, match="POD_IP"):
        load(file, {"POD_IP": "a/b"})
