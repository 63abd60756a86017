"""Holds: "do not delete this backup". Written create-only, obeyed while they have not ended, deleted only by ``release``.

Whoever holds writes first and looks for condemned documents after that; purge condemns first and looks for holds after
that. So one of the two always sees the other, and a hold that came too late is told so.
"""

from __future__ import annotations

from dataclasses import dataclass

from backupstore.core.documents import Hold, encode
from backupstore.core.layout import Layout
from backupstore.errors import Corrupt
from backupstore.operations.condemned import all_condemned
from backupstore.operations.documents import read_own
from backupstore.ports import ObjectStore


@dataclass(frozen=True, slots=True)
class Held:
    """A hold that was written. ``condemned``: the nodes whose part of the backup may be gone already."""

    hold: Hold
    condemned: tuple[str, ...]


def read_holds(store: ObjectStore, layout: Layout, backup: str) -> tuple[Hold, ...]:
    """Every hold on one cluster backup, ended ones too. One that cannot be read counts as one without an end."""
    folder = layout.holds(backup)
    found = []
    for stored in store.list(folder):
        try:
            found.append(read_own(store, Hold, stored.key))
        except Corrupt as error:
            name = stored.key.removeprefix(folder).removesuffix(".json")
            found.append(Hold(backup=backup, id=name, by="somebody", why=error.message, created=stored.modified))
    return tuple(hold for hold in found if hold)  # what was released meanwhile is left out


def held_names(store: ObjectStore, layout: Layout) -> frozenset[str]:
    """The cluster backups that have holds, ended ones too."""
    folder = layout.all_holds()
    return frozenset(child[len(folder) : -1] for child in store.entries(folder).folders)


def place_hold(store: ObjectStore, layout: Layout, hold: Hold) -> Held:
    """Write the hold, and only then look what is condemned. Conflict when there is a hold of that id."""
    store.create(layout.hold(hold.backup, hold.id), encode(hold))
    condemned = {node for node, _, document in all_condemned(store, layout) if hold.backup in document.backups}
    return Held(hold, tuple(sorted(condemned)))


def release_holds(store: ObjectStore, layout: Layout, backup: str, ids: frozenset[str]) -> tuple[str, ...]:
    """Delete these holds; the ids of those that were there."""
    found = [layout.hold(backup, one) for one in sorted(ids)]
    there = {stored.key for stored in store.list(layout.holds(backup))}
    store.delete([key for key in found if key in there])
    return tuple(one for one in sorted(ids) if layout.hold(backup, one) in there)
