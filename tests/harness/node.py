"""One node of a cluster: where its files lie, and how it is started, asked and stopped."""

from __future__ import annotations

import os
import signal
import socket
import struct
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from tests.harness import cassandra_yaml, processes
from tests.harness.config import ClusterConfig
from tests.harness.errors import HarnessError

_CQL_PORT = 9042
# Native protocol: version 4, stream 0, OPTIONS, no body; the answer SUPPORTED is operation 6.
_OPTIONS = struct.pack(">BBhBi", 4, 0, 0, 5, 0)
_SUPPORTED = 6


@dataclass(frozen=True, slots=True)
class Node:
    """A node, counted from 1; all that can change lies in its directory and its process."""

    config: ClusterConfig
    number: int
    ip: str
    jmx_port: int
    directory: Path

    @property
    def name(self) -> str:
        """`node1`, `node2` and so on."""
        return self.directory.name

    @property
    def yaml(self) -> Path:
        """The node's cassandra.yaml."""
        return self.directory / "conf/cassandra.yaml"

    @property
    def data_dirs(self) -> tuple[Path, ...]:
        """The data directories."""
        return cassandra_yaml.data_directories(self.config, self.directory)

    @property
    def commitlog(self) -> Path:
        """The commit log's directory."""
        return self.directory / "commitlog"

    @property
    def hints(self) -> Path:
        """The directory of hints for other nodes."""
        return self.directory / "hints"

    @property
    def saved_caches(self) -> Path:
        """The directory of saved caches."""
        return self.directory / "saved_caches"

    @property
    def cdc_raw(self) -> Path:
        """The directory of change data capture."""
        return self.directory / "cdc_raw"

    @property
    def logs(self) -> Path:
        """The directory of `system.log` and `stdout.log`."""
        return self.directory / "logs"

    def script(self, name: str) -> Path:
        """One of the scripts in the node's `bin`: start, stop, nodetool, sstableloader, sstabledump and others."""
        return self.directory / "bin" / name

    @property
    def pid(self) -> int | None:
        """The process, if it runs, whoever started it."""
        return processes.node_pid(self.directory)

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self.pid is not None

    @property
    def answers(self) -> bool:
        """Whether the CQL port speaks CQL."""
        try:
            with socket.create_connection((self.ip, _CQL_PORT), 1) as connection:
                connection.settimeout(2)
                connection.sendall(_OPTIONS)
                return connection.recv(9)[4:5] == bytes([_SUPPORTED])
        except OSError:
            return False

    def start(self, *, wait: bool = True) -> None:
        """Start the node unless it runs, and wait until it answers."""
        self.run("start")
        if wait:
            self.wait_up()

    def wait_up(self, seconds: float = 180) -> None:
        """Wait until the node answers on its CQL port; an early death is told with its log."""
        deadline = time.monotonic() + seconds
        while not self.answers:
            if not self.running:
                raise HarnessError(f"{self.name} died while starting:\n{self.log_tail()}")
            if time.monotonic() > deadline:
                raise HarnessError(f"{self.name} did not answer in {seconds:.0f} s:\n{self.log_tail()}")
            time.sleep(0.1)

    def stop(self) -> None:
        """Stop the node in order and wait until it is gone."""
        self.run("stop")

    def kill(self) -> None:
        """Kill the node at once, its commit log left as it is."""
        pid = self.pid
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
            if not processes.wait_gone(self.directory, 20):
                raise HarnessError(f"{self.name} (pid {pid}) survived SIGKILL")
        (self.directory / "pid").unlink(missing_ok=True)

    def nodetool(self, *arguments: str) -> str:
        """What nodetool prints."""
        return self.run("nodetool", *arguments)

    def flush(self, *tables: str) -> None:
        """Write memtables to disk: all of them, or of one keyspace and its tables named."""
        self.nodetool("flush", *tables)

    def sstabledump(self, data_file: Path) -> str:
        """An SSTable as JSON."""
        return self.run("sstabledump", str(data_file))

    def run(self, script: str, *arguments: str) -> str:
        """Run one of the node's scripts, return what it prints; a failure is an error."""
        done = self.attempt(script, *arguments)
        if done.returncode:
            command = " ".join((script, *arguments))
            raise HarnessError(f"{self.name}: {command!r} exit {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout

    def attempt(self, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run one of the node's scripts and return how it went."""
        command = [str(self.script(script)), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)

    def log_tail(self, size: int = 4000) -> str:
        """The end of what the node wrote, to show when it fails."""
        parts = [path.read_text(errors="replace")[-size:] for path in sorted(self.logs.glob("*.log"))]
        return "\n".join(parts)
