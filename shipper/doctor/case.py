"""What every check looks at: the settings, the bucket, this node's name in it, the clock; and facts that several need."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from backupstore.core.documents import Head, Latest
from backupstore.core.layout import Layout
from backupstore.core.names import node_name_problems
from backupstore.errors import BackupError
from backupstore.operations.reading import read_head
from backupstore.ports import Clock, ObjectStore
from backupstore.settings import Settings
from backupstore.settings.storage import StorageSettings
from backupstore.stores.local import LocalStore
from backupstore.wiring import bucket_identity, layout_of
from shipper.cassandra.nodetool import Nodetool
from shipper.cassandra.port import Identity, Member
from shipper.doctor.findings import Report, unchecked
from shipper.meta import own_backups
from shipper.restore.places import existing
from shipper.state import StateDirectory
from shipper.wiring import NodeWiring, naming_of

MOST = 20
"""Of so many of this node's newest backups a check looks at each."""

AS_OWNER = "Ask as the user that runs backups: sudo -u cassandra medusa-shipper doctor"


def bucket_of(storage: StorageSettings) -> Path:
    """The directory of a local bucket."""
    return storage.local_bucket or Path()


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
    def is_named(self) -> bool:
        """Whether this machine has a name that can stand in keys; one that only serves needs none."""
        try:
            return not node_name_problems(self.name, self.layout.prefix)
        except BackupError:
            return False

    @property
    def folder(self) -> str:
        """What whoever asks may list: the node's own folder, or the catalog where there is no node."""
        return self.layout.node(self.name) if self.is_named else self.layout.catalog()

    @cached_property
    def wiring(self) -> NodeWiring:
        """The node beside us."""
        return NodeWiring(self.settings, self.clock)

    @cached_property
    def nodetool(self) -> Nodetool:
        """Nodetool, with less patience than a backup has."""
        return Nodetool(self.wiring.nodetool.access, timeout=max(1.0, self.seconds - 1))

    @cached_property
    def nodetool_info(self) -> Mapping[str, str]:
        """What it says of the node. Each call starts a Java."""
        return self.nodetool.info()

    @cached_property
    def identity(self) -> Identity:
        """Who Cassandra says it is."""
        return self.wiring.node.identity()

    @cached_property
    def ring(self) -> tuple[Member, ...]:
        """The nodes that it knows."""
        return self.wiring.node.ring()

    @cached_property
    def head(self) -> Head | None:
        """The catalog's head; None where there is no catalog."""
        return read_head(self.store, self.layout)

    @property
    def latest(self) -> Latest | None:
        """The backup of this node that finished last, as far as the catalog knows."""
        return self.head.latest.get(self.name) if self.head else None

    @cached_property
    def backups(self) -> tuple[str, ...]:
        """The names of this node's backups, in order."""
        return tuple(sorted(own_backups(self.store, self.layout, self.name)))

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
        if not self.is_named:
            return None
        last = self.state.read("last")
        known = (last.get("bucket"), last.get("node")) == (bucket_identity(self.settings.storage), self.name)
        return str(last["backup"]) if known and "backup" in last else None
