"""Which addresses and ports are whose, among all clusters running on this machine.

Each cluster gets a loopback network 127.a.b.0/24 of its own (its nodes are .1, .2, …), so that
all of them use the ports 9042 and 7000. JMX is different: Cassandra binds it to 127.0.0.1, and
each node needs a port that nobody else has. Both are handed out under one file lock and written
down as a claim in a runtime directory. A claim has lapsed when its cluster's directory is gone,
or when the process that owned it died and none of its nodes lives on; networks are handed out
in turn, so that whoever still talks to a dead cluster does not meet its successor.
"""

from __future__ import annotations

import json
import os
import socket
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.harness import processes
from tests.harness.cache import locked
from tests.harness.errors import HarnessError

# Below the range from which Linux takes the ports of outgoing connections (32768 and up).
_JMX_PORTS = range(17199, 32000)
_NETWORKS = tuple(f"127.{a}.{b}" for a in range(64, 128) for b in range(256))


@dataclass(frozen=True, slots=True)
class Claim:
    """What one cluster may use until it lets go."""

    network: str
    jmx_ports: tuple[int, ...]
    file: Path

    def ip(self, number: int) -> str:
        """The address of a node, counted from 1."""
        return f"{self.network}.{number}"

    def release(self) -> None:
        """Let go; doing so twice is fine."""
        self.file.unlink(missing_ok=True)


def runtime_dir() -> Path:
    """Where claims, and clusters without a place of their own, lie; one directory per user."""
    base = os.environ.get("XDG_RUNTIME_DIR") or f"{tempfile.gettempdir()}/medusa-shipper-{os.getuid()}"
    root = Path(base) / "harness"
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    return root


def claim(nodes: int, directory: Path, *, detached: bool) -> Claim:
    """Take a network and as many JMX ports as there are nodes, for the cluster in `directory`."""
    claims = runtime_dir() / "claims"
    claims.mkdir(exist_ok=True)
    with locked(claims / "lock"):
        held = list(_held(claims))
        network = _free_network(claims / "turn", {str(other["network"]) for other in held}, nodes)
        ports = _free_ports({int(port) for other in held for port in other["jmx_ports"]}, nodes)
        file = claims / f"{network}.json"
        owner = None if detached else processes.identity(os.getpid())
        body = {"network": network, "jmx_ports": ports, "directory": str(directory), "owner": owner}
        file.write_text(json.dumps(body))
    return Claim(network, ports, file)


def _held(claims: Path) -> Iterator[dict[str, Any]]:
    """Every claim that still stands; removes those that lapsed."""
    for file in sorted(claims.glob("127.*.json")):
        body: dict[str, Any] = json.loads(file.read_text())
        if _stands(body):
            yield body
        else:
            file.unlink(missing_ok=True)


def _stands(body: dict[str, Any]) -> bool:
    directory, owner = Path(body["directory"]), body["owner"]
    if any(processes.node_pid(node) for node in directory.glob("node*")):
        return True
    if owner is None:
        return directory.is_dir()
    return processes.identity(int(owner[0])) == tuple(owner)


def _free_network(turn: Path, taken: set[str], nodes: int) -> str:
    start = int(turn.read_text()) if turn.exists() else 0
    for step in range(len(_NETWORKS)):
        index = (start + step) % len(_NETWORKS)
        network = _NETWORKS[index]
        if network not in taken and _all_free((f"{network}.{i + 1}", p) for i in range(nodes) for p in (7000, 9042)):
            turn.write_text(str(index + 1))
            return network
    raise HarnessError("no loopback network is free: take down some clusters")


def _free_ports(taken: set[int], nodes: int) -> tuple[int, ...]:
    free = (port for port in _JMX_PORTS if port not in taken and _all_free([("127.0.0.1", port)]))
    ports = tuple(port for port, _ in zip(free, range(nodes), strict=False))
    if len(ports) < nodes:
        raise HarnessError("no JMX ports are free: take down some clusters")
    return ports


def _all_free(addresses: Iterable[tuple[str, int]]) -> bool:
    for address in addresses:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(address)
            except OSError:
                return False
    return True
