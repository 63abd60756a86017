"""A cluster with an agent beside each node, and the machine of an operator, on which `serve` leads the jobs.

All share a bucket in a directory. Nothing else connects them: each has its own medusa.ini, its own state and its own name.
"""

from __future__ import annotations

import configparser
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from backupstore.signing import PRIVATE_FILE, PUBLIC_FILE
from tests.demo.stage import command
from tests.harness import Cluster, ClusterConfig, HarnessError, Node, driver
from tests.harness.leash import leashed

if TYPE_CHECKING:
    from typing_extensions import Self  # Python 3.11 has it in typing

BUCKET = "backups"
HEALTHY = {"query": "SELECT release_version FROM system.local", "expected_rows": "1"}
_AGENT_PORT = 8901
_END = 90.0


@dataclass(frozen=True, slots=True)
class Depot:
    """What all share: a bucket below a directory, and a pair of keys in it."""

    directory: Path

    @property
    def keys(self) -> Path:
        """Where `generate-keys` writes."""
        return self.directory / "keys"

    def operator_ini(self) -> Path:
        """The settings of the machine on which an operator types, and `serve` runs: it is no node."""
        shipper = {"signing_key_file": str(self.keys / PRIVATE_FILE), "coordinate_interval": "1"}
        return self.write("operator", {"storage": {"fqdn": "operator"}}, shipper)

    def write(self, folder: str, sections: Mapping[str, Mapping[str, str]], shipper: Mapping[str, str]) -> Path:
        """A medusa.ini in a folder of its own, and what is only ours beside it."""
        directory = self.directory / folder
        directory.mkdir(exist_ok=True)
        storage = {"storage_provider": "local", "base_path": str(self.directory), "bucket_name": BUCKET}
        cassandra = {"resolve_ip_addresses": "False", **sections.get("cassandra", {})}
        whole = {"storage": {**storage, **sections["storage"]}, "cassandra": cassandra}
        _write(directory / "medusa.ini", {**whole, **{name: sections[name] for name in sections.keys() - whole.keys()}})
        _write(directory / "medusa-shipper.ini", {"shipper": {"state_dir": str(directory / "state"), **shipper}})
        return directory / "medusa.ini"


@dataclass
class Fleet:
    """The agents of a cluster. ``schedule``: when they back up, empty for never. None outlives the ``with``."""

    depot: Depot
    cluster: Cluster
    schedule: str = ""
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict, init=False)
    checks: dict[str, Mapping[str, str]] = field(default_factory=dict, init=False)
    shipper: dict[str, Mapping[str, str]] = field(default_factory=dict, init=False)

    def ini(self, node: Node) -> Path:
        """The node's settings, written anew at each call; single nodes have others in ``checks`` and ``shipper``."""
        cassandra = {
            "config_file": str(node.yaml),
            "nodetool_executable": str(node.script("nodetool")),
            "sstableloader_bin": str(node.script("sstableloader")),
            "stop_cmd": str(node.script("stop")),
            "start_cmd": str(node.script("start")),
            **_login(self.cluster.config),
        }
        checks = self.checks.get(node.ip, HEALTHY)
        shipper = {
            "command_keys_file": str(self.depot.keys / PUBLIC_FILE),
            "command_interval": "1",
            "agent_listen": f"{node.ip}:{_AGENT_PORT}",
            "backup_schedule": self.schedule,
            **self.shipper.get(node.ip, {}),
        }
        sections = {"cassandra": cassandra, "storage": {"fqdn": node.ip}, "checks": checks}
        return self.depot.write(f"agent-{node.ip}", sections, shipper)

    def log(self, node: Node) -> Path:
        """What the agent said, all its lives together."""
        return self.depot.directory / f"agent-{node.ip}" / "agent.log"

    def start(self) -> None:
        """An agent for every node that has none."""
        for node in self.cluster.nodes:
            self.start_one(node)

    def wait_up(self, seconds: float = 60) -> None:
        """Wait until each of them answers who asks how it is: from then on no slot of the schedule is missed."""
        deadline = time.monotonic() + seconds
        for node in self.cluster.nodes:
            while not _listens(node.ip):
                if self.processes[node.ip].poll() is not None or time.monotonic() > deadline:
                    raise HarnessError(f"the agent of {node.ip} does not answer:\n{self.log(node).read_text()}")
                time.sleep(0.1)

    def start_one(self, node: Node, program: Sequence[str] = ()) -> None:
        """The agent of one node, unless it runs. ``program``: instead of the command line as it is installed."""
        running = self.processes.get(node.ip)
        if running is not None and running.poll() is None:
            return
        ini = self.ini(node)
        words = [*program, "--config-file", str(ini)] if program else command(ini)
        with self.log(node).open("ab") as log:
            self.processes[node.ip] = subprocess.Popen(leashed([*words, "agent"]), stdout=log, stderr=log)

    def kill(self, node: Node) -> None:
        """End an agent as a power cut does."""
        self.processes[node.ip].kill()
        self.processes[node.ip].wait()

    def restart(self, node: Node, checks: Mapping[str, str] = HEALTHY) -> None:
        """With other settings of ``[checks]``."""
        self.checks[node.ip] = checks
        self.kill(node)
        self.start_one(node)

    def stop(self) -> None:
        """End all of them in order."""
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            try:
                process.wait(_END)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def logs(self) -> str:
        """What all of them said."""
        return "\n".join(f"--- {node.ip}\n{self.log(node).read_text()}" for node in self.cluster.nodes)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


@contextmanager
def serving(ini: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`medusa-shipper serve`; what it says goes into `serve.log` beside its settings."""
    with ini.with_name("serve.log").open("ab") as log:
        server = subprocess.Popen(leashed([*command(ini), "serve"]), stdout=log, stderr=log)
    try:
        yield server
    finally:
        server.terminate()
        server.wait(_END)


def move_tokens(cluster: Cluster, by: int) -> None:
    """Before its first start: a cluster made like another one owns other tokens than that."""
    for node in cluster.nodes:
        own = node.config.tokens(node.number)
        moved = [(token + by + (1 << 63)) % (1 << 64) - (1 << 63) for token in own]
        before, after = (",".join(map(str, tokens)) for tokens in (own, moved))
        text = node.yaml.read_text()
        if before not in text:
            raise ValueError(f"{node.yaml} does not say what its tokens are")
        node.yaml.write_text(text.replace(before, after))


def _listens(ip: str) -> bool:
    with suppress(OSError), socket.create_connection((ip, _AGENT_PORT), 1):
        return True
    return False


def _login(config: ClusterConfig) -> dict[str, str]:
    """Of ``[cassandra]``: that of the superuser, where one is asked for."""
    login = driver.login(config)
    return dict(zip(("cql_username", "cql_password"), login, strict=True)) if login else {}


def _write(path: Path, sections: Mapping[str, Mapping[str, str]]) -> None:
    settings = configparser.ConfigParser(interpolation=None)
    for name, values in sections.items():
        settings[name] = values
    with path.open("w", encoding="utf-8") as out:
        settings.write(out)
