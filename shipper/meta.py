"""Reading what lies around one node backup: its meta files, its latest attempt, what purge has condemned of the node."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from backupstore.core import layout as grammar
from backupstore.core.documents import Attempt, Condemned, decode
from backupstore.core.layout import Layout, MetaKey
from backupstore.errors import Conflict, Refused
from backupstore.ports import ObjectStore
from shipper.intent import Found


@dataclass(frozen=True, slots=True)
class Condemnation:
    """Everything that the condemned documents of a node name."""

    runs: tuple[str, ...]
    backups: frozenset[str]
    keys: frozenset[str]


def find(store: ObjectStore, layout: Layout, node: str, backup: str) -> Found:
    """List the meta folder and read the latest attempt. Corrupt when that attempt cannot be read."""
    files: dict[str, float] = {}
    latest = 0
    for stored in store.list(layout.meta_folder(node, backup)):
        key = grammar.parse_in(layout, stored.key)
        if isinstance(key, MetaKey):
            files[key.file] = stored.modified
            latest = max(latest, key.attempt or 0)
    if not latest:
        return Found(files, None)
    key_of_latest = layout.attempt(node, backup, latest)
    return Found(files, decode(Attempt, store.read(key_of_latest).body, key_of_latest))


def read_condemned(store: ObjectStore, layout: Layout, node: str) -> Condemnation:
    """Read every condemned document of a node. Corrupt when one cannot be read: its keys would be trusted by mistake."""
    runs: list[str] = []
    backups: set[str] = set()
    keys: set[str] = set()
    folder = layout.condemned(node)
    for stored in store.list(folder):
        document = decode(Condemned, store.read(stored.key).body, stored.key)
        runs.append(stored.key.removeprefix(folder).removesuffix(".json"))
        backups.update(document.backups)
        keys.update(document.keys)
    return Condemnation(tuple(runs), frozenset(backups), frozenset(keys))


def own_backups(store: ObjectStore, layout: Layout, node: str) -> tuple[str, ...]:
    """Names below the node's folder, by one delimiter listing."""
    folder = layout.node(node)
    found = (key.removeprefix(folder).rstrip("/") for key in store.entries(folder).folders)
    return tuple(name for name in found if name not in {"data", "data-v"})


def create_once(store: ObjectStore, key: str, body: bytes) -> None:
    """Create a small object, or find it there with this very content: an earlier attempt wrote it. Refused otherwise."""
    try:
        store.create(key, body)
    except Conflict as error:
        if store.read(key).body != body:
            raise Refused(
                f"{key} is there already and says something else.",
                hint="Somebody else writes to this backup's name. Choose another name.",
                operation="backup",
                key=key,
            ) from error


def create_any(store: ObjectStore, keys: Iterable[str], body: bytes) -> None:
    """Create small objects; those that are there may stay as they are."""
    for key in keys:
        try:
            store.create(key, body)
        except Conflict:
            continue
