"""A real Cassandra cluster on loopback addresses of its own, for as long as it is needed.

    with Cluster.create(ClusterConfig(nodes=3)) as cluster:
        cluster.start()
        with cluster.session() as session: ...

Whatever happens to this process, its nodes do not outlive it: `close` kills them, so does the
end of the interpreter, and should this process be killed, the cluster's guard does (see
`scripts`). That holds for nodes that another program started with the `start` script, too.
Only a detached cluster stays until someone wipes it.
"""

from __future__ import annotations

import atexit
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar

from tests.harness import claims, driver, layout
from tests.harness.config import ClusterConfig
from tests.harness.driver import Consistency, Session
from tests.harness.errors import HarnessError
from tests.harness.node import Node

if TYPE_CHECKING:
    from typing_extensions import Self  # Python 3.11 has it in typing


Outcome = TypeVar("Outcome")


class Cluster:
    """A cluster that exists in a directory; use `create` or `open`."""

    def __init__(self, config: ClusterConfig, base: Path, claim: claims.Claim, *, temporary: bool) -> None:
        self.config = config
        self.base = base
        self.nodes: tuple[Node, ...] = layout.nodes_of(config, base, claim)
        self._claim = claim
        self._temporary = temporary
        self._guard: subprocess.Popen[bytes] | None = None

    @classmethod
    def create(cls, config: ClusterConfig | None = None, directory: Path | None = None) -> Cluster:
        """Make a new cluster, not yet started, in an empty directory or in a temporary one."""
        config = config or ClusterConfig()
        base = _new_directory(directory, config.name)
        claim = claims.claim(config.nodes, base, detached=config.detached)
        try:
            layout.write(config, base, claim, remove=directory is None)
        except BaseException:
            claim.release()
            raise
        return cls(config, base, claim, temporary=directory is None)

    @classmethod
    def open(cls, directory: Path) -> Cluster:
        """A detached cluster that some program made."""
        if not (directory / "cluster.json").exists():
            raise HarnessError(f"there is no cluster in {directory}")
        config, claim = layout.read(directory)
        return cls(config, directory.resolve(), claim, temporary=False)

    def start(self, *, wait: bool = True) -> None:
        """Start all nodes at once; wait until each answers and sees all others up and normal."""
        self._watch()
        for node in self.nodes:
            node.start(wait=False)
        if wait:
            self.wait_up()

    def wait_up(self) -> None:
        """Wait until each node answers, lets the superuser in and sees all others up and normal."""
        for node in self.nodes:
            node.wait_up()
        if self.config.auth:
            self._wait_login()
        self.wait_ring()

    def stop(self) -> None:
        """Stop all nodes in order, at the same time."""
        self._on_all(Node.stop)

    def kill(self) -> None:
        """Kill all nodes."""
        self._on_all(Node.kill)

    def flush(self) -> None:
        """Write all memtables of all nodes to disk."""
        self._on_all(Node.flush)

    def wait_ring(self, seconds: float = 120) -> None:
        """Wait until every running node sees every running node as up and normal."""
        running = [node for node in self.nodes if node.running]
        deadline = time.monotonic() + seconds
        while True:
            seen = list(self._map(_up_and_normal, running))
            if all(ips >= {node.ip for node in running} for ips in seen):
                return
            if time.monotonic() > deadline:
                raise HarnessError(f"the ring did not settle; the nodes see {seen}")
            time.sleep(0.3)

    def session(
        self, node: Node | None = None, *, consistency: Consistency = "ALL", user: tuple[str, str] | None = None
    ) -> AbstractContextManager[Session]:
        """A session of the driver with the whole cluster, or through one node only."""
        contacts = [(node or each).ip for each in self.nodes if node or each.running]
        return driver.session(contacts[:1] if node else contacts, consistency, user or driver.login(self.config))

    def close(self) -> None:
        """Kill what runs, whoever started it, and let go of the addresses; twice is fine."""
        if self.config.detached:
            return
        self._end()
        if self._temporary:
            shutil.rmtree(self.base, ignore_errors=True)

    def wipe(self) -> None:
        """Kill what runs and remove the cluster's directory, detached or not."""
        self._end()
        shutil.rmtree(self.base)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _watch(self) -> None:
        """Set the guard on, which ends the nodes should we not come to it."""
        if self.config.detached or self._guard:
            return
        command = [str(self.base / "guard")]
        self._guard = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
        atexit.register(self.close)

    def _end(self) -> None:
        if self.base.is_dir():
            (self.base / "closed").touch()
            self.kill()
        if self._guard and self._guard.stdin:
            self._guard.stdin.close()
            self._guard.wait()
            self._guard = None
            atexit.unregister(self.close)
        self._claim.release()

    def _wait_login(self, seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while not all(driver.accepts(node.ip, driver.login(self.config)) for node in self.nodes):
            if time.monotonic() > deadline:
                raise HarnessError("the superuser cannot log in")
            time.sleep(0.3)

    def _on_all(self, act: Callable[[Node], object]) -> None:
        self._map(act, self.nodes)

    @staticmethod
    def _map(act: Callable[[Node], Outcome], nodes: Sequence[Node]) -> list[Outcome]:
        with ThreadPoolExecutor(max(1, len(nodes))) as pool:
            return list(pool.map(act, nodes))


def _up_and_normal(node: Node) -> set[str]:
    """The addresses that a node sees as up and normal."""
    return set(re.findall(r"^UN\s+(\S+)", node.nodetool("status"), re.MULTILINE))


def _new_directory(directory: Path | None, name: str) -> Path:
    if directory is None:
        parent = claims.runtime_dir() / "clusters"
        parent.mkdir(exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=parent)).resolve()
    directory.mkdir(parents=True, exist_ok=True)
    if any(directory.iterdir()):
        raise HarnessError(f"{directory} is not empty: a new cluster needs an empty directory")
    return directory.resolve()
