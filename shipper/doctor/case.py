"""What every check looks at: the settings, the bucket, this node's name in it, the clock."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from backupstore.core.layout import Layout
from backupstore.ports import Clock, ObjectStore
from backupstore.settings import Settings
from backupstore.settings.storage import StorageSettings
from backupstore.stores.local import LocalStore
from backupstore.wiring import bucket_identity, layout_of
from shipper.cassandra.nodetool import Nodetool
from shipper.cassandra.port import Identity, Member
from shipper.doctor.findings import Report, unchecked
from shipper.state import StateDirectory
from shipper.wiring import NodeWiring, naming_of

AS_OWNER = "Ask as the user that runs backups: sudo -u cassandra medusa-shipper doctor"


def bucket_of(storage: StorageSettings) -> Path:
    """The directory of a local bucket."""
    return (storage.base_path or Path()) / storage.bucket_name


def existing(path: Path) -> Path:
    """The path, or what of it is there."""
    while not path.exists() and path != path.parent:
        path = path.parent
    return path


@dataclass(frozen=True)
class Case:
    """One examination. ``read_only``: no probe shall be written; ``seconds``: how long one check may take."""

    settings: Settings
    store: ObjectStore
    clock: Clock
    read_only: bool
    seconds: float

    @cached_property
    def layout(self) -> Layout:
        """The cluster's keys."""
        return layout_of(self.settings)

    @cached_property
    def name(self) -> str:
        """This node's name in keys; asks DNS."""
        return naming_of(self.settings).own()

    @cached_property
    def wiring(self) -> NodeWiring:
        """The node beside us."""
        return NodeWiring(self.settings, self.clock)

    @cached_property
    def nodetool(self) -> Nodetool:
        """Nodetool, with less patience than a backup has."""
        return Nodetool(self.wiring.nodetool.access, timeout=max(1.0, self.seconds - 1))

    @cached_property
    def identity(self) -> Identity:
        """Who Cassandra says it is."""
        return self.wiring.node.identity()

    @cached_property
    def ring(self) -> tuple[Member, ...]:
        """The nodes that it knows."""
        return self.wiring.node.ring()

    @property
    def no_probe(self) -> Report | None:
        """Why nothing may be written to the bucket; None where it may.

        On a directory, what root makes belongs to root: Cassandra's user could not write there afterwards.
        """
        if self.read_only:
            return unchecked("--read-only writes no probe")
        near = existing(bucket_of(self.settings.storage)) if isinstance(self.store, LocalStore) else None
        owner = near.stat().st_uid if near and os.geteuid() == 0 else 0
        if not owner:
            return None
        return unchecked(f"what root writes there would not belong to the bucket's owner (user id {owner})", AS_OWNER)

    @property
    def state(self) -> StateDirectory:
        """Our memory on this machine."""
        return StateDirectory(self.settings.shipper.state_dir)

    @property
    def last_own(self) -> str | None:
        """The last backup that this machine knows it made of this node in this bucket."""
        last = self.state.read("last")
        known = (last.get("bucket"), last.get("node")) == (bucket_identity(self.settings.storage), self.name)
        return str(last["backup"]) if known and "backup" in last else None
