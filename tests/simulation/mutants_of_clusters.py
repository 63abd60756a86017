"""The rules that only show in a cluster, each broken: plans, names, the indexer, and what verify says."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from backupstore.core.key_parsing import data_key
from backupstore.core.ring_chain import Chain
from backupstore.core.verification import UNCHECKED, Tally
from backupstore.operations import backups, opening, planning, purging
from backupstore.operations.deletion import Deletion, Sized
from backupstore.operations.lookout import Lookout
from tests.operations.one_pass import one_pass_only
from tests.simulation.world import World

Patch = pytest.MonkeyPatch


def retention_trusts_the_catalog_alone(patch: Patch) -> None:
    """What it says is complete is not looked at in the bucket."""
    patch.setattr(planning, "_matter", lambda *_: set())


def purges_do_not_hear_each_other(patch: Patch) -> None:
    """Each of two keeps what the other one condemns."""
    patch.setattr(opening, "_hear", lambda at, plan, others, own: plan)  # noqa: ARG005 # as it is called


def smaller_ring_accepted(patch: Patch) -> None:
    """A node that names only itself makes complete backups, and those of the whole cluster roll off."""
    patch.setattr(planning, "follow", lambda rings: Chain(frozenset(ring.name for ring in rings), {}))


def no_revision(patch: Patch) -> None:
    """Equal content is written as equal bytes, and under an equal name."""
    patch.setattr(World, "revision", lambda _: "none")


def backups_listed_without_slash(patch: Patch) -> None:
    """Deleting b1 deletes b10."""

    def full_data(self: Deletion, backup: str) -> Iterator[Sized]:
        start = self.layout.backup(self.node, backup).removesuffix("/")
        for stored in self.store.list(self.layout.node(self.node)):
            if stored.key.startswith(start):
                yield stored.key, stored.size

    patch.setattr(Deletion, "_full_data", full_data)


def nodes_listed_without_slash(patch: Patch) -> None:
    """What n10 shares is taken for n1's."""

    def is_shared(self: Lookout, key: str) -> bool:
        parsed = data_key(self.layout, key)
        return parsed is not None and parsed.node.startswith(self.of.node) and parsed.backup is None

    def list_shared(self: Lookout) -> None:
        start = self.layout.node(self.of.node).removesuffix("/")
        listed = (stored for stored in self.store.list(self.layout.root) if stored.key.startswith(start))
        self.keys.list(stored for stored in listed if self.is_shared(stored.key))

    patch.setattr(Lookout, "is_shared", is_shared)
    patch.setattr(Lookout, "list_shared", list_shared)


def schema_not_read_again(patch: Patch) -> None:
    """The indexer does not look again after it has written rows; only a lost race is run again."""
    one_pass_only(patch, backups)


def what_was_not_checked_is_good(patch: Patch) -> None:
    """A call that failed is no finding."""
    add = Tally.add
    patch.setattr(Tally, "add", lambda self, found: None if found.kind == UNCHECKED else add(self, found))


def workers_of_ended_purges_delete(patch: Patch) -> None:
    """Nobody asks whether the purge is over before deleting in its name."""
    patch.setattr(purging, "is_open", lambda *_: True)


CLUSTER_MUTANTS = (
    retention_trusts_the_catalog_alone,
    purges_do_not_hear_each_other,
    smaller_ring_accepted,
    no_revision,
    backups_listed_without_slash,
    nodes_listed_without_slash,
    schema_not_read_again,
    what_was_not_checked_is_good,
    workers_of_ended_purges_delete,
)
