"""Reading what lies around one node backup: its meta files, its latest attempt, what purge has condemned of the node."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from backupstore.core import layout as grammar
from backupstore.core.documents import Attempt, decode
from backupstore.core.key_parsing import parse_in
from backupstore.core.keys import MetaKey
from backupstore.core.layout import Layout
from backupstore.errors import Conflict, Corrupt, NotFound, Refused
from backupstore.operations.condemned import list_condemned, read_document
from backupstore.ports import ObjectStore
from shipper.intent import Found

_DOCUMENT = 32 << 20


@dataclass(frozen=True, slots=True)
class Condemnation:
    """Everything that the condemned documents of a node name."""

    runs: tuple[str, ...]
    backups: frozenset[str]
    keys: frozenset[str]


@dataclass(frozen=True, slots=True)
class Listed:
    """What lies in a meta folder: file names with times, and the number of the latest attempt, 0 for stock's."""

    files: dict[str, float]
    attempts: int

    @property
    def is_over(self) -> bool:
        """Whether nobody may go on with it: it is finished or given up."""
        return grammar.MANIFEST in self.files or grammar.ABANDONED in self.files

    @property
    def is_finished(self) -> bool:
        """Whether it is over, and a backup."""
        return grammar.MANIFEST in self.files and grammar.ABANDONED not in self.files


def look(store: ObjectStore, layout: Layout, node: str, backup: str) -> Listed:
    """List the meta folder, and read nothing."""
    files: dict[str, float] = {}
    latest = 0
    for stored in store.list(layout.meta_folder(node, backup)):
        key = parse_in(layout, stored.key)
        if isinstance(key, MetaKey):
            files[key.file] = stored.modified
            latest = max(latest, key.attempt or 0)
    return Listed(files, latest)


def find(store: ObjectStore, layout: Layout, node: str, backup: str) -> Found:
    """List the meta folder and read the latest attempt. Corrupt when that attempt is not what its key says."""
    listed = look(store, layout, node, backup)
    if not listed.attempts:
        return Found(listed.files, None)
    key = layout.attempt(node, backup, listed.attempts)
    hint = f"Nothing of {backup} can be relied on: use another backup, or another name for a new one."
    try:
        attempt = decode(Attempt, store.read(key, limit=_DOCUMENT).body, key)
    except Corrupt as error:
        raise Corrupt(error.message, hint=hint, operation="read", key=key) from error
    if (attempt.node, attempt.backup, attempt.attempt) != (node, backup, listed.attempts):
        raise Corrupt(f"{key} speaks of another node backup.", hint=hint, operation="read", key=key)
    return Found(listed.files, attempt)


def read_condemned(store: ObjectStore, layout: Layout, node: str) -> Condemnation:
    """Read every condemned document of a node. Corrupt when one cannot be read: its keys would be trusted by mistake."""
    runs: list[str] = []
    backups: set[str] = set()
    keys: set[str] = set()
    for name, stored in list_condemned(store, layout, node):
        document = read_document(store, stored.key)
        if document is not None:
            runs.append(name)
            backups.update(document.backups)
            keys.update(document.keys)
    return Condemnation(tuple(runs), frozenset(backups), frozenset(keys))


def own_backups(store: ObjectStore, layout: Layout, node: str) -> tuple[str, ...]:
    """Names below the node's folder, by one delimiter listing."""
    folder = layout.node(node)
    found = (key.removeprefix(folder).rstrip("/") for key in store.entries(folder).folders)
    return tuple(name for name in found if name not in grammar.NODE_DATA_FOLDERS)


def create_once(store: ObjectStore, key: str, body: bytes) -> float:
    """Create a small object, or find it there with this very content: the answer was lost. Refused otherwise.

    Returns the store's time of it.
    """
    try:
        return store.create(key, body).modified
    except Conflict as error:
        document = store.read(key)
        if document.body == body:
            return document.modified
        raise Refused(
            f"{key} is there already and says something else.",
            hint="Somebody else writes to this backup's name. Choose another name, and check that no other machine"
            " has this one's 'fqdn' in its medusa.ini.",
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


def body_of(store: ObjectStore, key: str) -> bytes | None:
    """A small object; None when it is not there."""
    try:
        return store.read(key, limit=_DOCUMENT).body
    except NotFound:
        return None
