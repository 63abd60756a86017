"""Three nodes, a bucket on an S3 server, and everybody who works on them: ours, stock Medusa, and the operator who purges."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tests.harness import Cluster, ClusterConfig, Node
from tests.harness.s3_servers import versitygw
from tests.harness.stock import Stock
from tests.interop.beside import Place, s3_place
from tests.killing import Point
from tests.life.aging import Aging
from tests.life.hatchery import Hatchery, hatchery
from tests.shipper.cli.program import Done

PREFIX = "east"
_ROOT = Path(__file__).resolve().parents[2]
A = TypeVar("A")
B = TypeVar("B")


@dataclass(frozen=True)
class Fleet:
    """``storage`` and ``shipper``: what the operator has written into ``[storage]`` and ``[shipper]``."""

    cluster: Cluster
    place: Place
    folder: Path
    aging: Aging
    hatchery: Hatchery
    storage: Mapping[str, str]
    shipper: Mapping[str, str]

    def stock(self, node: Node) -> Stock:
        """Stock Medusa on that node, with the file that we read too."""
        settings = {"storage": self.place.storage}
        return Stock(work=self.folder / node.name, base_path=self.folder, prefix=PREFIX, node=node, settings=settings)

    def state(self, node: Node) -> Path:
        """What our program remembers on the node."""
        return self.folder / node.name / "state"

    def ours(self, node: Node, *arguments: str) -> Done:
        """Our program on that node."""
        return self.hatchery.run(self._ini(self.stock(node)), *arguments)

    def operator(self, *arguments: str) -> Done:
        """Our program on a machine beside the cluster. It went well."""
        settings = {"storage": {**self.place.storage, **self.storage}}
        work = self.folder / "operator"
        beside = Stock(work=work, base_path=self.folder, prefix=PREFIX, fqdn="operator", settings=settings)
        return good(self.hatchery.run(self._ini(beside), *arguments), *arguments)

    def killed_backup(self, node: Node, name: str, uploads: int) -> None:
        """A backup that is ended by SIGKILL after so many uploads of this run."""
        at = str(Point(uploads, "after", "store.upload"))
        ini = str(self._ini(self.stock(node)))
        command = [sys.executable, "-m", "tests.shipper.backup.killed_node", ini, name, "differential", at]
        done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == -signal.SIGKILL, done.stderr

    def listed(self) -> dict[str, str]:
        """State of every backup that the operator is shown, by name, in the order shown."""
        found = self.operator("list-backups", "--show-all", "--output", "json").json
        return {each["name"]: each["state"] for each in found}

    # --- what lies in the bucket, seen from outside ---

    def objects(self) -> frozenset[str]:
        """All keys, without the prefix."""
        return frozenset(key.removeprefix(f"{PREFIX}/") for key in self.place.look())

    def named(self, node: Node, backup: str) -> frozenset[str]:
        """The keys that a manifest names; none without one."""
        path = self.aging.folder / "data" / self.aging.bucket / PREFIX / node.ip / backup / "meta" / "manifest.json"
        if not path.exists():
            return frozenset()
        entries = (each for section in json.loads(path.read_bytes()) for each in section["objects"])
        return frozenset(each["path"].removeprefix(f"{PREFIX}/") for each in entries)

    def _ini(self, stock: Stock) -> Path:
        ini = stock.write_ini()
        lines = {"state_dir": str(stock.work / "state"), "start_timeout": "240", **self.shipper}
        text = "\n".join(["[shipper]", *(f"{key} = {value}" for key, value in lines.items()), ""])
        ini.with_name("medusa-shipper.ini").write_text(text)
        return ini


@contextmanager
def fleet(folder: Path, storage: Mapping[str, str], shipper: Mapping[str, str]) -> Iterator[Fleet]:
    """A running cluster of three, and an empty bucket."""
    config = ClusterConfig(name="life", nodes=3, num_tokens=4)
    (folder / "s3").mkdir()
    with (
        versitygw(folder / "s3") as server,
        hatchery(folder / "said") as born,
        Cluster.create(config) as cluster,
    ):
        place = s3_place(server, folder / "keys", "life", PREFIX)
        states = tuple(folder / node.name / "state" for node in cluster.nodes)
        aging = Aging(server, folder / "s3", "life", PREFIX, states)
        cluster.start()
        yield Fleet(cluster, place, folder, aging, born, storage, shipper)


def good(done: Done, *arguments: str) -> Done:
    """It ended well."""
    assert done.code == 0, f"{' '.join(arguments)}: {done.code}\n{done.out}{done.err}"
    return done


def at_once(act: Callable[[A], B], each: Iterable[A]) -> list[B]:
    """All of them at the same time; what they came to, in order."""
    items = list(each)
    with ThreadPoolExecutor(max(1, len(items))) as pool:
        return list(pool.map(act, items))
