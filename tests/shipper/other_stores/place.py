"""A node, its bucket at any provider, and runs of the program there."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from backupstore.ports import ObjectStore
from backupstore.stores.memory import MemoryBucket
from tests.recorded import NAME, RecordedNode
from tests.shipper.cli.program import Done
from tests.shipper.restore import world as restores
from tests.shipper.s3.program import Starter, starter
from tests.shipper.s3.recorded_program import OTHERS
from tests.shipper.s3.scene import TABLES

BUCKET = "fleet"
BIG = 9 << 20  # by more than one request


@dataclass(frozen=True)
class Place:
    """``storage``: what its settings say of the bucket; ``store`` looks into it from outside."""

    base: Path
    node: RecordedNode
    starter: Starter
    storage: Mapping[str, str]
    store: ObjectStore

    def run(self, *arguments: str, node: Path | None = None) -> Done:
        ini, yaml = self.base / "medusa.ini", self.base / "cassandra.yaml"
        least = {
            "bucket_name": BUCKET,
            "prefix": "prod",
            "fqdn": NAME,
            "transfer_max_bandwidth": "",
            "max_backup_count": "1",
        }
        lines = [f"{name} = {value}" for name, value in {**least, **self.storage}.items()]
        yaml.write_text("listen_address: 127.0.0.1\n", encoding="utf-8")
        ini.write_text("\n".join(["[cassandra]", f"config_file = {yaml}", "[storage]", *lines, ""]), encoding="utf-8")
        ini.with_name("medusa-shipper.ini").write_text(
            f"[shipper]\nstate_dir = {self.base / 'state'}\npurge_max_share = 100%\n", encoding="utf-8"
        )
        return self.starter.start(node or self.node.base, ["--config-file", str(ini), *arguments], 20.0).wait()

    def keys(self) -> list[str]:
        return [stored.key for stored in self.store.list(f"prod/{NAME}/")]

    def ship_two(self) -> None:
        """Two backups, of which the second brings nothing that the first one brought."""
        for name in ("sunday", "monday"):
            self.node.flush("shop.orders")
            done = self.run("backup", "--backup-name", name)
            assert done.code == 0, done
        assert not [key for key in self.keys() if "/data-v/" in key], (
            "what the first one brought is known by its digest"
        )

    def restores(self, name: str) -> None:
        """A node that went on, restored: it stands as it stood."""
        moved = self.base / "moved"
        shutil.copytree(self.node.base, moved)
        world = restores.open_world(moved, MemoryBucket(time.time))
        world.expect("new")
        self.node.compact("shop.orders")
        restores.grow_old(world)
        done = self.run("restore-node", "--backup-name", name, node=moved)
        assert done.code == 0, done
        assert restores.open_world(moved, MemoryBucket(time.time)).stands() == "new"


@contextmanager
def opened(base: Path, storage: Mapping[str, str], store: ObjectStore) -> Iterator[Place]:
    """The node, with data enough for several requests."""
    node = RecordedNode.make(base / "node", tables=TABLES)
    node.grow("shop.orders", BIG)
    for name in OTHERS:
        (node.base / name).mkdir()
    (node.base / "running").touch()
    with starter(base) as begins:
        yield Place(base, node, begins, storage, store)
