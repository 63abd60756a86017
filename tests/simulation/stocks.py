"""Stock Medusa beside us: it reads nothing of ours, and does not know what is condemned."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import suppress

from backupstore.core import layout as grammar
from backupstore.core.key_parsing import parse_in
from backupstore.core.keys import DataKey, RowKey
from backupstore.errors import BackupError, NotFound
from tests.operations.lives import VERSION, tokenmap
from tests.simulation.world import LAYOUT, NODE, Crash, ProcessStore, World

_TABLE = "t-" + "0" * 32


def writer(world: World, *, rounds: int) -> None:
    """As stock backs a node up: it lists the data, sends what it does not find by name and size, and reads nothing else."""
    random = world.random
    store = ProcessStore.open(world, None, crashes=0.01)
    for _ in range(rounds):
        name = f"s{world.number():03}"
        try:
            _back_up(world, store, name)
        except Crash:
            world.tell("stock crashed")
        except BackupError as error:
            world.tell(f"stock: {type(error).__name__}")
        else:
            world.tell("stock backed up")
        world.wait(random.choice((0, 5, 30)))


def _back_up(world: World, store: ProcessStore, name: str) -> None:
    files = {f"nb-{number}-big-Data.db": f"nb-{number}-big-Data.db 1".encode() for number in range(5, 9)}
    store.put(LAYOUT.meta(NODE, name, grammar.SCHEMA), b"schema")
    store.put(LAYOUT.meta(NODE, name, grammar.TOKENMAP), tokenmap({NODE: "dc1"}))
    store.put(LAYOUT.meta(NODE, name, grammar.SERVER_VERSION), VERSION)
    store.put(LAYOUT.meta(NODE, name, grammar.DIFFERENTIAL), b"differential")
    listed = {stored.key: stored.size for stored in store.list(LAYOUT.shared_data(NODE))}
    objects = []
    for file, body in files.items():
        world.wait(world.random.choice((0, 3, 20)))
        if world.random.random() < 0.7:
            key = LAYOUT.data(DataKey(NODE, "ks", _TABLE, file))
            if listed.get(key) != len(body):
                store.put(key, body)
            md5 = hashlib.md5(body, usedforsecurity=False).hexdigest()
            objects.append({"path": key, "MD5": md5, "size": len(body)})
    manifest = json.dumps([{"keyspace": "ks", "columnfamily": _TABLE, "objects": objects}]).encode()
    store.put(LAYOUT.meta(NODE, name, grammar.MANIFEST), manifest)
    store.put(LAYOUT.row(RowKey(name, "tokenmap", NODE)), tokenmap({NODE: "dc1"}))


def lister(world: World, *, rounds: int) -> None:
    """``list-backups``: from the oldest row on it asks whether the backup is there, and cleans up until one is."""
    store = ProcessStore.open(world, None)
    for _ in range(rounds):
        world.wait(world.random.choice((0, 10, 40)))
        try:
            _list(world, store)
        except BackupError as error:
            world.tell(f"stock: {type(error).__name__}")
        else:
            world.tell("stock listed")


def _list(world: World, store: ProcessStore) -> None:
    for row in sorted(_rows(store), key=lambda row: (row.stamp or 0, row.backup, row.node)):
        try:
            store.head(LAYOUT.meta(row.node, row.backup, grammar.SCHEMA))
        except NotFound:
            _clean(store, row)
            world.tell("stock's list cleaned up")
        else:
            return


def _rows(store: ProcessStore) -> Iterator[RowKey]:
    """The rows that stock sees, each with the time of its start."""
    found: dict[tuple[str, str], dict[str, RowKey]] = {}
    for stored in store.list(LAYOUT.all_rows()):
        row = parse_in(LAYOUT, stored.key)
        if isinstance(row, RowKey):
            found.setdefault((row.backup, row.node), {})[row.kind] = row
    return (kinds.get("started", kinds["tokenmap"]) for kinds in found.values() if "tokenmap" in kinds)


def _clean(store: ProcessStore, row: RowKey) -> None:
    """By a prefix without its slash, and by a part of the name: its neighbours' rows go with it."""
    start = LAYOUT.rows(row.backup).removesuffix("/")
    listed = [stored.key for stored in store.list(LAYOUT.all_rows())]
    store.delete([key for key in listed if key.startswith(start) and f"_{row.node}" in key])


def deleter(world: World, *, rounds: int) -> None:
    """``delete-backup -a``: all of one cluster backup but the shared data, in the order of keys, and then its rows."""
    store = ProcessStore.open(world, None, crashes=0.02)
    for _ in range(rounds):
        world.wait(world.random.choice((0, 30, 100)))
        names = sorted(world.bucket.good)
        if not names:
            return
        name = world.random.choice((*names, names[-1]))
        try:
            for node in sorted(world.bucket.ring):
                store.delete([stored.key for stored in store.list(LAYOUT.backup(node, name))])
                _clean(store, RowKey(name, "tokenmap", node))
        except (Crash, BackupError):
            world.tell("stock crashed")
        world.tell("stock deleted")


def vandal(world: World, *, rounds: int) -> None:
    """An object that a manifest names goes away: a lifecycle rule, stock's own sweep, somebody with a console."""
    store = ProcessStore.open(world, None)
    for _ in range(rounds):
        world.wait(world.random.choice((10, 50, 150)))
        counting = world.bucket.counting()
        if counting:
            named = sorted(world.bucket.named_by(*world.random.choice(counting)))
            with suppress(BackupError):
                store.delete([world.random.choice(named)])
            world.tell("an object was lost")
