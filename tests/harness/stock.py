"""Stock cassandra-medusa beside us: it reads what we write, we read what it writes.

It lives in a venv of its own in the user's cache, and is told everything by a medusa.ini made
for one bucket on local disk and, where it shall act on one, for one node of a cluster.

How nodes are named: stock takes the name of the node it runs on from `fqdn`, and those of all
nodes, for the token map, by reverse resolution of the addresses that the driver knows. On a
machine where 127.0.0.0/8 resolves to nothing useful these differ, and stock finds that its own
node is no part of the ring. With `resolve_ip_addresses = False` the token map holds the plain
addresses, so that `fqdn = <the node's address>` names the same node: no mount namespace, no
edited /etc/hosts and no root are needed. Names in a bucket that it shall only read may be any.

What else it needs: `use_sudo` and `use_sudo_for_restore` off; exactly one data directory, as it
looks into the first one only; a TMPDIR of its own, for it leaves marker files there under fixed
names, over which two of them on one machine stumble.
"""

from __future__ import annotations

import configparser
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.harness.cache import built_once, cache_root
from tests.harness.config import SUPERUSER
from tests.harness.errors import HarnessError
from tests.harness.node import Node

VERSION = "0.31.0"

# What its console script does, which names an interpreter that was moved since.
_MEDUSA = "from medusa.medusacli import cli; cli(prog_name='medusa')"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run of stock ended and what it said."""

    arguments: tuple[str, ...]
    exit_code: int
    stdout: str
    stderr: str

    def check(self) -> Outcome:
        """Itself, if stock was content; an error with what it said otherwise."""
        if self.exit_code:
            raise HarnessError(f"medusa {' '.join(self.arguments)} exit {self.exit_code}:\n{self.stdout}{self.stderr}")
        return self

    def json(self) -> Any:  # noqa: ANN401 - any document
        """What it printed, as a document."""
        return json.loads(self.stdout)


@dataclass(frozen=True, kw_only=True, slots=True)
class Stock:
    """Stock Medusa, configured for the bucket in `base_path/bucket`, with its own `work` directory.

    `settings` are further sections of its ini file, which win.
    """

    work: Path
    base_path: Path
    bucket: str = "bucket"
    prefix: str | None = None
    node: Node | None = None
    fqdn: str | None = None
    settings: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def run(self, *arguments: str) -> Outcome:
        """Run its command line, as in `run("status", "--backup-name", "b1")`."""
        temporary = self.work / "tmp"
        temporary.mkdir(parents=True, exist_ok=True)
        command = [str(python()), "-c", _MEDUSA, "--config-file", str(self.write_ini()), *arguments]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
            cwd=self.work,
            env={**os.environ, "TMPDIR": str(temporary)},
        )
        return Outcome(arguments, done.returncode, done.stdout, done.stderr)

    def list_backups(self) -> list[dict[str, Any]]:
        """All backups of the bucket, as it lists them."""
        listed: list[dict[str, Any]] = self.run("list-backups", "--show-all", "--output", "json").check().json()
        return listed

    def status(self, backup: str) -> dict[str, Any]:
        """The state of a backup of all nodes."""
        state: dict[str, Any] = self.run("status", "--backup-name", backup, "--output", "json").check().json()
        return state

    def verify(self, backup: str) -> Outcome:
        """Its check of a backup; that it is content stands in the text as well as in the exit code."""
        return self.run("verify", "--backup-name", backup)

    def backup(self, backup: str, mode: str = "differential") -> Outcome:
        """Back up its node."""
        return self.run("backup-node", "--backup-name", backup, "--mode", mode)

    def restore(self, backup: str, *options: str) -> Outcome:
        """Restore its node in place, stopping and starting it."""
        temporary = str(self.work / "tmp")
        return self.run("restore-node", "--in-place", "--backup-name", backup, "--temp-dir", temporary, *options)

    def write_ini(self) -> Path:
        """Write its medusa.ini, which other programs may read as well."""
        ini = configparser.ConfigParser(interpolation=None)
        ini["storage"] = {
            "storage_provider": "local",
            "base_path": str(self.base_path),
            "bucket_name": self.bucket,
            "use_sudo_for_restore": "False",
            "transfer_max_bandwidth": "10GB/s",
            "concurrent_transfers": "2",
        }
        ini["cassandra"] = {"use_sudo": "False", "resolve_ip_addresses": "False"}
        if self.prefix:
            ini["storage"]["prefix"] = self.prefix
        if self.node:
            ini["storage"]["fqdn"] = self.node.ip
            ini["cassandra"].update(_of_node(self.node))
        if self.fqdn:
            ini["storage"]["fqdn"] = self.fqdn
        ini.read_dict(self.settings)
        self.work.mkdir(parents=True, exist_ok=True)
        path = self.work / "medusa.ini"
        with path.open("w") as file:
            ini.write(file)
        return path


def python() -> Path:
    """The interpreter of stock's venv; makes the venv if need be."""
    major, minor = sys.version_info[:2]
    return built_once(cache_root() / f"stock-{VERSION}-py{major}.{minor}", _install) / "bin/python"


def _install(staging: Path) -> None:
    """Make the venv, which is moved into place afterwards."""
    target = str(staging / "bin/python")
    for command in (
        [sys.executable, "-m", "venv", str(staging)],
        [target, "-m", "pip", "install", "--quiet", f"cassandra-medusa=={VERSION}"],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise HarnessError(f"{' '.join(command)} exit {done.returncode}:\n{done.stdout}{done.stderr}")


def _of_node(node: Node) -> dict[str, str]:
    values = {
        "config_file": str(node.yaml),
        "stop_cmd": str(node.script("stop")),
        "start_cmd": str(node.script("start")),
        "nodetool_executable": str(node.script("nodetool")),
        "sstableloader_bin": str(node.script("sstableloader")),
    }
    if node.config.auth:
        values["cql_username"], values["cql_password"] = SUPERUSER
    return values
