"""What we need of cassandra.yaml, as Cassandra itself would understand it. Only read, never changed.

The file is YAML 1.1, as Cassandra's own parser has it (``yes`` is a truth value). A key that stands there twice is
refused: that is a mistake, even where Cassandra lets it pass. Where a directory is not named, Cassandra takes one below
its storage directory; packages set that to ``/var/lib/cassandra``. Names are not resolved here: that is ``addresses``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from backupstore.errors import Denied, Misconfigured
from shipper.cassandra.yaml_values import Values, parse

STORAGE_DIRECTORY = Path("/var/lib/cassandra")
_HINT = "Check config_file in [cassandra] of medusa.ini, and the file it names."


@dataclass(frozen=True, slots=True)
class Directories:
    """Where Cassandra keeps what. ``data`` in the file's order, the one for local system tables last if it is apart.

    ``local`` is that one; nothing else is ever in it.
    """

    data: tuple[Path, ...]
    commitlog: Path
    hints: Path
    saved_caches: Path
    cdc_raw: Path
    local: Path | None = None

    @property
    def beside_data(self) -> tuple[Path, ...]:
        """What must go aside with the data: left behind, it would bring back what came after the backup."""
        return (self.commitlog, self.hints, self.saved_caches, self.cdc_raw)


@dataclass(frozen=True, slots=True)
class Listening:
    """Addresses as they stand in the file; empty where they do not."""

    listen_address: str
    listen_interface: str
    broadcast_address: str
    rpc_address: str
    rpc_interface: str
    broadcast_rpc_address: str
    prefer_ipv6: bool


@dataclass(frozen=True, slots=True)
class Ports:
    """Ports that Cassandra opens. ``*_tls`` is None where there is no port of its own for TLS."""

    native: int
    native_tls: int | None
    storage: int
    storage_tls: int | None
    client_encryption: bool

    def cql(self, *, tls: bool) -> int:
        """The port for a client that speaks TLS, or does not."""
        return self.native_tls if tls and self.native_tls else self.native


@dataclass(frozen=True, slots=True)
class Configuration:
    """One cassandra.yaml."""

    path: Path
    cluster_name: str
    directories: Directories
    listening: Listening
    ports: Ports
    seeds: tuple[str, ...]
    num_tokens: int | None
    initial_tokens: tuple[str, ...]
    snitch: str


def read_configuration(path: Path, storage_directory: Path = STORAGE_DIRECTORY) -> Configuration:
    """Read a cassandra.yaml. Misconfigured with every mistake and its line, all at once."""
    values = parse(path, _text(path))
    configuration = Configuration(
        path=path,
        cluster_name=values.text("cluster_name", "Test Cluster"),
        directories=_directories(values, storage_directory),
        listening=_listening(values),
        ports=_ports(values),
        seeds=_seeds(values),
        num_tokens=values.number("num_tokens"),
        initial_tokens=_tokens(values),
        snitch=values.text("endpoint_snitch", "SimpleSnitch"),
    )
    if values.problems:
        raise Misconfigured(tuple(values.problems), hint=_HINT)
    return configuration


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except PermissionError as error:
        raise Denied(
            f"{path} may not be read.", hint="Run as Cassandra's user, or let this user read it.", operation="settings"
        ) from error
    except OSError as error:
        raise Misconfigured((f"{path}: {error.strerror}",), hint=_HINT) from error
    except UnicodeDecodeError as error:
        raise Misconfigured((f"{path}: not a text file in UTF-8",), hint=_HINT) from error


def _directories(values: Values, storage: Path) -> Directories:
    data = values.paths("data_file_directories") or (storage / "data",)
    local = values.path("local_system_data_file_directory")
    apart = local is not None and local not in data
    return Directories(
        data=(*data, local) if local and apart else data,
        commitlog=values.path("commitlog_directory") or storage / "commitlog",
        hints=values.path("hints_directory") or storage / "hints",
        saved_caches=values.path("saved_caches_directory") or storage / "saved_caches",
        cdc_raw=values.path("cdc_raw_directory") or storage / "cdc_raw",
        local=local if apart else None,
    )


def _listening(values: Values) -> Listening:
    return Listening(
        listen_address=values.text("listen_address"),
        listen_interface=values.text("listen_interface"),
        broadcast_address=values.text("broadcast_address"),
        rpc_address=values.text("rpc_address"),
        rpc_interface=values.text("rpc_interface"),
        broadcast_rpc_address=values.text("broadcast_rpc_address"),
        prefer_ipv6=values.flag("listen_interface_prefer_ipv6") or values.flag("rpc_interface_prefer_ipv6"),
    )


def _ports(values: Values) -> Ports:
    server = values.section("server_encryption_options")
    legacy = server.flag("enable_legacy_ssl_storage_port")
    return Ports(
        native=values.port("native_transport_port", 9042),
        native_tls=values.port("native_transport_port_ssl", 0) or None,
        storage=values.port("storage_port", 7000),
        storage_tls=values.port("ssl_storage_port", 7001) if legacy else None,
        client_encryption=values.section("client_encryption_options").flag("enabled"),
    )


def _seeds(values: Values) -> tuple[str, ...]:
    """The seeds of SimpleSeedProvider; other providers know theirs from elsewhere."""
    found = values.raw("seed_provider")
    provider = found[0] if isinstance(found, list) and found else None
    if provider is None and found is None:
        return ()
    if not isinstance(provider, Mapping) or not isinstance(provider.get("class_name"), str):
        values.complain("seed_provider", "must be a list with one class_name and its parameters")
        return ()
    if not provider["class_name"].endswith("SimpleSeedProvider"):
        return ()
    parameters = provider.get("parameters")
    first = parameters[0] if isinstance(parameters, list) and parameters else None
    seeds = first.get("seeds") if isinstance(first, Mapping) else None
    if not isinstance(seeds, str):
        values.complain("seed_provider", "has no text called seeds among its parameters")
        return ()
    return tuple(seed.strip() for seed in seeds.split(",") if seed.strip())


def _tokens(values: Values) -> tuple[str, ...]:
    tokens = tuple(token.strip() for token in values.text("initial_token").split(",") if token.strip())
    wrong = [token for token in tokens if not re.fullmatch(r"-?[0-9]{1,39}", token)]
    if wrong:
        values.complain("initial_token", f"{wrong[0]!r} is not a token of Murmur3Partitioner or RandomPartitioner")
    return tokens
