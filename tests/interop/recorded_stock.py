"""Stock and we take turns on a node that is only a directory, so that many stories can be told in little time.

Everything of stock from the snapshot on is its own code, in its own interpreter; what is replaced is Cassandra.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from backupstore.core.layout import MANIFEST, Layout
from backupstore.core.tokenmap import encode
from backupstore.ports import ObjectStore
from backupstore.stores.local import LocalStore
from shipper.cassandra.port import Member
from shipper.ring import tokenmap_of
from shipper.state import StateDirectory
from tests.clocks import SettableClock
from tests.harness.s3_servers import S3Server
from tests.harness.s3_stores import opened
from tests.harness.stock import Stock, python
from tests.interop.beside import Place, local_place, s3_place
from tests.recorded import NAME, RecordedNode
from tests.shipper.backup.world import World

_BACK_UP = """
import collections, contextlib, json, pathlib, sys
from medusa import backup_node
from medusa.backup_manager import BackupMan
from medusa.cassandra_utils import Cassandra
from medusa.config import load_config

ini, data, backup, mode, tokenmap, md5 = sys.argv[1:]

class Session:
    def dump_schema(self):
        return "CREATE TABLE shop.orders (k int PRIMARY KEY);"
    def tokenmap(self):
        return json.loads(tokenmap)
    def get_server_type_and_release_version(self):
        return "cassandra", "5.0.6"

class Recorded(Cassandra):
    def __init__(self, config):
        self._root = pathlib.Path(data)
    @contextlib.contextmanager
    def new_session(self):
        yield Session()
    def create_snapshot(self, name, keep_snapshot=False):
        return Cassandra.Snapshot(self, self.SNAPSHOT_PREFIX + name, keep_snapshot=True)

backup_node.Cassandra = Recorded
BackupMan.register_backup(backup, is_async=False)
config = load_config(collections.defaultdict(lambda: None), pathlib.Path(ini))
backup_node.handle_backup(config, backup, None, md5 == "True", mode)
"""


class Alone(RecordedNode):
    """A recorded node that knows of no other."""

    def ring(self) -> tuple[Member, ...]:
        return tuple(member for member in super().ring() if member.address == NAME)


@dataclass(frozen=True)
class Turns:
    """``ours`` is the node with the bucket as we see it, ``place`` the bucket as stock and outsiders do."""

    ours: World
    place: Place
    folder: Path

    @property
    def fqdn(self) -> str:
        return self.ours.node.identity().address

    @property
    def stock(self) -> Stock:
        settings: Mapping[str, Mapping[str, str]] = {"storage": self.place.storage}
        return Stock(
            work=self.folder / "stock",
            base_path=self.folder,
            prefix=self.place.prefix or None,
            fqdn=self.fqdn,
            settings=settings,
        )

    def stock_backs_up(self, name: str, mode: str = "differential", *, md5: bool = False) -> None:
        node = self.ours.node
        tokenmap = encode(tokenmap_of(node.identity(), node.ring())).decode()
        node.snapshot(f"medusa-{name}")
        data = str(node.data_directories[0])
        command = [str(python()), "-c", _BACK_UP, str(self.stock.write_ini()), data, name, mode, tokenmap, str(md5)]
        environment = {"TMPDIR": str(self.folder), "PATH": "/usr/bin:/bin"}
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        node.clear_snapshot(f"medusa-{name}")
        assert done.returncode == 0, done.stdout + done.stderr
        assert self.manifest(name), done.stderr

    def manifest(self, name: str) -> dict[str, int]:
        """Path → size, of any backup."""
        body = self.ours.body(self.ours.layout.meta(self.fqdn, name, MANIFEST))
        sections = json.loads(body)
        return {each["path"]: each["size"] for section in sections for each in section["objects"]}

    def stock_verifies(self, name: str) -> bool:
        return self.stock.run("verify", "--backup-name", name).exit_code == 0

    def data(self) -> set[str]:
        return {key for key in self.place.look() if "/data/" in key or "/data-v/" in key}

    def forget(self) -> None:
        """Our memory on the node is lost."""
        for path in self.ours.state.path.iterdir():
            path.unlink()


def turns(folder: Path, server: S3Server | None, *, prefix: str = "") -> Turns:
    """A new node with one flush of everything, and an empty bucket: on the server, or in a directory."""
    RecordedNode.make(folder / "node", disks=1)
    place, store = _bucket(folder, server, prefix)
    clock, state = SettableClock(time.time()), StateDirectory(folder / "state")
    world = World(Alone(folder / "node"), store, store, Layout(prefix), clock, state)
    return Turns(world, place, folder)


def exchange(path: Path, body: bytes) -> Path:
    """Give a file other content under its name, by a rename; the old one is kept aside, to come back as it was."""
    aside = path.parents[3] / f"aside-{path.name}"
    aside.hardlink_to(path)
    fresh = path.with_name("fresh")
    fresh.write_bytes(body)
    fresh.rename(path)
    return aside


def _bucket(folder: Path, server: S3Server | None, prefix: str) -> tuple[Place, ObjectStore]:
    if server is None:
        place = local_place(folder / "local", prefix)
        return place, LocalStore(folder / "local/bucket")
    name = f"b{time.monotonic_ns()}"
    place = s3_place(server, folder / "keys", name, prefix)
    return replace(place), opened(server, name)
