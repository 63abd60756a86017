"""Options of ``[cassandra]`` and ``[checks]``, and those of ``[shipper]`` about commands of the node."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from backupstore.errors import Denied, NodeTrouble
from backupstore.settings import load
from shipper.cassandra.service import HealthCheck
from shipper.cassandra.sstableloader import SstableLoader
from shipper.wiring import naming_of
from tests.clocks import SettableClock
from tests.harness import s3_servers
from tests.settings.cql_server import CqlServer, cql_server
from tests.settings.node import called, cassandra_yaml, program, wiring
from tests.settings.shown import ini, settings, shows


@pytest.fixture
def cql() -> Iterator[CqlServer]:
    with cql_server() as running:
        yield running


@shows("cassandra.config_file")
def test_the_node_is_looked_up_in_its_file(tmp_path: Path) -> None:
    file = cassandra_yaml(tmp_path, data=tmp_path / "elsewhere")
    given = settings(tmp_path, cassandra={"config_file": file})
    assert wiring(given).node.data_directories == (tmp_path / "elsewhere",)


# --- nodetool ---

PLAIN = ["-Dcom.sun.jndi.rmiURLParsing=legacy"]


@shows(
    *(
        f"cassandra.nodetool_{name}"
        for name in ("executable", "flags", "host", "port", "username", "password", "password_file_path", "ssl")
    )
)
@pytest.mark.parametrize(
    ("options", "arguments"),
    [
        ({}, PLAIN),
        ({"nodetool_flags": "-Da=b -Dc=d"}, ["-Da=b", "-Dc=d"]),
        ({"nodetool_host": "10.0.0.1"}, [*PLAIN, "-h", "10.0.0.1"]),
        ({"nodetool_port": "7299"}, [*PLAIN, "-p", "7299"]),
        ({"nodetool_username": "me"}, [*PLAIN, "-u", "me"]),
        ({"nodetool_password": "secret"}, [*PLAIN, "-pw", "secret"]),
        ({"nodetool_password_file_path": "/etc/jmx"}, [*PLAIN, "-pwf", "/etc/jmx"]),
        ({"nodetool_ssl": "true"}, [*PLAIN, "--ssl"]),
    ],
)
def test_nodetool_is_called_so(tmp_path: Path, options: dict[str, str], arguments: list[str]) -> None:
    given = settings(tmp_path, cassandra={"nodetool_executable": program(tmp_path, "tool"), **options})
    wiring(given).nodetool.flush()
    assert called(tmp_path, "tool") == [*arguments, "flush"]


@shows("cassandra.nodetool_k8s_secrets_path")
def test_the_login_for_jmx_lies_in_a_mounted_secret(tmp_path: Path) -> None:
    secret(tmp_path / "jmx")
    options = {"nodetool_executable": program(tmp_path, "tool"), "nodetool_username": "not me"}
    wiring(settings(tmp_path, cassandra={**options, "nodetool_k8s_secrets_path": tmp_path / "jmx"})).nodetool.drain()
    assert called(tmp_path, "tool") == [*PLAIN, "-u", "mounted", "-pw", "word", "drain"]


@shows("shipper.nodetool_timeout")
def test_a_nodetool_that_hangs_is_given_up(tmp_path: Path) -> None:
    tool = program(tmp_path, "tool", "import time; time.sleep(60)")
    given = settings(tmp_path, cassandra={"nodetool_executable": tool}, shipper={"nodetool_timeout": "1"})
    with pytest.raises(NodeTrouble, match="1 second"):
        wiring(given).nodetool.flush()


# --- sstableloader ---

STORES = ("ts", "tspw", "ks", "kspw")


@shows(*(f"cassandra.sstableloader_{name}" for name in ("bin", *STORES)))
@pytest.mark.parametrize("stores", [(), STORES])
def test_sstableloader_is_called_so(tmp_path: Path, stores: tuple[str, ...]) -> None:
    """Passwords stand in the file that it is told to read, not among its arguments."""
    keep = f"shutil.copy(sys.argv[sys.argv.index('--conf-path') + 1], {str(tmp_path / 'read.yaml')!r})"
    options: dict[str, object] = {f"sstableloader_{name}": f"/{name}-of-mine" for name in stores}
    options |= {
        "cql_username": "me",
        "cql_password": "mine",
        "config_file": cassandra_yaml(tmp_path, native=9999, storage=7000),
    }
    loader = program(tmp_path, "loader", f"import shutil; {keep}")
    found = wiring(settings(tmp_path, cassandra={"sstableloader_bin": loader, **options})).loader()
    SstableLoader(found, tmp_path).load(tmp_path / "shop" / "orders", 7)
    arguments = called(tmp_path, "loader")
    at = arguments.index("--conf-path")
    yaml = arguments[at + 1]
    assert arguments[:at] == ["--nodes", "127.0.0.1", "--port", "9999"]
    assert arguments[at + 2 :] == ["--username", "me", "--password", "mine", "--no-progress", f"{tmp_path}/shop/orders"]
    assert (yaml == str(options["config_file"])) == (not stores)
    read = YAML(typ="safe").load((tmp_path / "read.yaml").read_text())
    assert [read.get("client_encryption_options", {}).get(key) for key in _STORE_KEYS] == [
        f"/{name}-of-mine" if stores else None for name in STORES
    ]


_STORE_KEYS = ("truststore", "truststore_password", "keystore", "keystore_password")


# --- CQL ---


def secret(folder: Path) -> None:
    folder.mkdir()
    (folder / "username").write_text("mounted\n")
    (folder / "password").write_text("word\n")


@shows("cassandra.cql_username", "cassandra.cql_password", "cassandra.cql_k8s_secrets_path")
@pytest.mark.parametrize(("mounted", "login"), [(False, ("me", "mine")), (True, ("mounted", "word"))])
def test_who_logs_in(cql: CqlServer, tmp_path: Path, *, mounted: bool, login: tuple[str, str]) -> None:
    options: dict[str, object] = {"cql_username": "me", "cql_password": "mine"}
    if mounted:
        secret(tmp_path / "cql")
        options["cql_k8s_secrets_path"] = tmp_path / "cql"
    given = settings(tmp_path, cassandra={"config_file": cassandra_yaml(tmp_path, native=cql.port), **options})
    with pytest.raises(Denied, match="refused the login"):
        wiring(given).node.identity()
    assert set(cql.logins) == {login}


@shows("cassandra.certfile", "cassandra.usercert", "cassandra.userkey")
def test_cql_over_tls_shows_the_client_certificate(tmp_path: Path) -> None:
    authority = s3_servers.certificate(tmp_path)
    client, key = signed_by(authority)
    with cql_server(tmp_path) as server:
        file = {"config_file": cassandra_yaml(tmp_path, native=server.port)}
        mutual = {"certfile": authority, "usercert": client, "userkey": key}
        assert wiring(settings(tmp_path, cassandra={**file, **mutual})).node.is_up()
        assert not wiring(settings(tmp_path, cassandra={**file, "certfile": authority})).node.is_up()
        assert not wiring(settings(tmp_path, cassandra=file)).node.is_up()


def signed_by(authority: Path) -> tuple[Path, Path]:
    """A certificate for a client, and its key."""
    openssl = shutil.which("openssl")
    assert openssl
    folder = authority.parent
    names = [str(folder / f"client.{suffix}") for suffix in ("key", "csr", "pem")]
    new = ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=client"]
    subprocess.run([openssl, *new, "-keyout", names[0], "-out", names[1]], check=True, capture_output=True)
    sign = ["x509", "-req", "-in", names[1], "-CA", str(authority), "-CAkey", str(folder / "key.pem")]
    sign += ["-CAcreateserial", "-days", "2", "-out", names[2]]
    subprocess.run([openssl, *sign], check=True, capture_output=True)
    return Path(names[2]), Path(names[0])


@shows("cassandra.resolve_ip_addresses")
@pytest.mark.parametrize(("resolve", "name"), [("True", socket.getfqdn("127.0.0.1")), ("False", "127.0.0.1")])
def test_nodes_are_called_by_name_or_address(tmp_path: Path, resolve: str, name: str) -> None:
    naming = naming_of(settings(tmp_path, cassandra={"resolve_ip_addresses": resolve}))
    assert naming.ring("other")("one", "127.0.0.1") == name


# --- starting and stopping ---


@shows("cassandra.start_cmd", "cassandra.stop_cmd")
def test_the_commands_are_run_as_they_stand(cql: CqlServer, tmp_path: Path) -> None:
    start, stop = program(tmp_path, "start"), program(tmp_path, "stop")
    commands = {"start_cmd": f"{start} 'a b' c", "stop_cmd": f"{stop} -9"}
    up = {"config_file": cassandra_yaml(tmp_path, native=cql.port), **commands}
    wiring(settings(tmp_path, cassandra=up)).service().start()
    wiring(settings(tmp_path, cassandra={**up, "config_file": cassandra_yaml(tmp_path)})).service().stop()
    assert (called(tmp_path, "start"), called(tmp_path, "stop")) == (["a b", "c"], ["-9"])


@shows("shipper.start_timeout", "shipper.stop_timeout")
def test_starting_and_stopping_are_waited_for_so_long(cql: CqlServer, tmp_path: Path) -> None:
    clock = SettableClock()
    limits = {"start_timeout": "7", "stop_timeout": "3"}
    commands = {"start_cmd": "true", "stop_cmd": "true"}
    down = settings(tmp_path, cassandra={"config_file": cassandra_yaml(tmp_path), **commands}, shipper=limits)
    begun = clock.running()
    with pytest.raises(NodeTrouble, match="not up in time"):
        wiring(down, clock).service().start()
    assert 7 <= clock.running() - begun < 8
    file = cassandra_yaml(tmp_path, native=cql.port)
    up = settings(tmp_path, cassandra={"config_file": file, **commands}, shipper=limits)
    begun = clock.running()
    with pytest.raises(NodeTrouble, match="after 3 seconds"):
        wiring(up, clock).service().stop()
    assert 3 <= clock.running() - begun < 4


# --- the check after a restore ---


@shows("checks.health_check")
def test_all_wants_the_storage_port_too(cql: CqlServer, tmp_path: Path) -> None:
    file = {"config_file": cassandra_yaml(tmp_path, native=cql.port)}
    for check in ("cql", "all"):
        service = wiring(settings(tmp_path, cassandra=file, checks={"health_check": check})).service()
        ailments = service.service.ailments("all" if service.wants_all else "cql")
        assert bool(ailments) == (check == "all"), "only the port for CQL is open"


class Answers:
    """A session whose queries all have these rows."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def query(self, text: str) -> tuple[tuple[object, ...], ...]:
        self.asked.append(text)
        return ((1, "a"), (2, "b"))


@shows("checks.query", "checks.expected_rows", "checks.expected_result")
@pytest.mark.parametrize(
    ("expected", "problem"),
    [
        ({}, ""),
        ({"expected_rows": "2", "expected_result": "1,a"}, ""),
        ({"expected_rows": "3"}, "2 rows, not 3"),
        ({"expected_result": "2,b"}, "the first row is '1,a', not '2,b'"),
    ],
)
def test_the_query_is_asked_and_its_answer_compared(tmp_path: Path, expected: dict[str, str], problem: str) -> None:
    given = settings(
        tmp_path,
        cassandra={"config_file": cassandra_yaml(tmp_path)},
        checks={"query": "SELECT k, v FROM a.b", **expected},
    )
    health, session = wiring(given).service().health, Answers()
    assert isinstance(health, HealthCheck)
    assert problem in "; ".join(health.problems(session))  # type: ignore[arg-type] # of a session, only this is asked
    assert bool(health.problems(session)) == bool(problem)  # type: ignore[arg-type] # the same
    assert set(session.asked) == {"SELECT k, v FROM a.b"}


def test_the_whole_file_is_no_surprise(tmp_path: Path) -> None:
    """What these tests write is a file without warnings."""
    assert load(ini(tmp_path, cassandra={"resolve_ip_addresses": "False"}), {}).warnings == ()
