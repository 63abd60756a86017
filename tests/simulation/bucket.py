"""A bucket that watches what is done to it: the invariants are checked at every single write and delete.

Between two of these nothing changes, so that checking each of them is checking each step.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from backupstore.core import layout as grammar
from backupstore.core.key_parsing import parse_in
from backupstore.core.keys import DataKey, MetaKey
from backupstore.core.layout import Layout
from backupstore.ports import StoredObject
from backupstore.stores.memory import MemoryBucket


class Violation(AssertionError):
    """Something was lost."""


class WatchedBucket(MemoryBucket):
    """Knows which backups count, what they name, and what planners have allowed to go.

    A backup counts while its schema and manifest are there, and it is not abandoned. ``held``: backups that a restore
    relies on, and until when.
    """

    def __init__(self, layout: Layout, clock: Callable[[], float]) -> None:
        super().__init__(clock)
        self.time = clock
        self.layout = layout
        self.doomed: set[str] = set()
        self.held: dict[str, float] = {}
        self.committed = 0
        self._named: dict[tuple[str, str], dict[str, str]] = {}  # of each manifest: key → its content's md5

    def hold(self, key: str, body: bytes) -> StoredObject:
        """A write."""
        parsed = parse_in(self.layout, key)
        before = self.find(key)
        if isinstance(parsed, DataKey) and before is not None and before.body != body:
            self._fail(f"{key} is overwritten")
        stored = super().hold(key, body)
        if isinstance(parsed, MetaKey) and parsed.file == grammar.MANIFEST:
            self._named[parsed.node, parsed.backup] = _named(body)
            if self.counts(parsed.node, parsed.backup):
                self.committed += 1
                self._check(parsed.node, parsed.backup)
        return stored

    def drop(self, key: str) -> None:
        """A delete."""
        parsed = parse_in(self.layout, key)
        if isinstance(parsed, MetaKey) and self.find(key) is not None:
            self._check_drop(parsed)
        super().drop(key)
        if isinstance(parsed, MetaKey):
            if parsed.file == grammar.MANIFEST:
                self._named.pop((parsed.node, parsed.backup), None)
            elif parsed.file == grammar.ABANDONED and self.counts(parsed.node, parsed.backup):
                self._check(parsed.node, parsed.backup)
        elif isinstance(parsed, DataKey):
            for (node, backup), named in self._named.items():
                if key in named and self.counts(node, backup):
                    self._fail(f"{key} is deleted, and {backup} of {node} names it")

    def counts(self, node: str, backup: str) -> bool:
        """Whether somebody may rely on this backup."""
        at = self.layout.meta
        there = [self.find(at(node, backup, file)) is not None for file in (grammar.SCHEMA, grammar.MANIFEST)]
        return all(there) and self.find(at(node, backup, grammar.ABANDONED)) is None

    def named_by(self, node: str, backup: str) -> frozenset[str]:
        """The keys that its manifest names."""
        return frozenset(self._named.get((node, backup), ()))

    def _check_drop(self, key: MetaKey) -> None:
        if key.file == grammar.MANIFEST and self.counts(key.node, key.backup):
            if key.backup not in self.doomed:
                self._fail(f"{key.backup} is deleted, and nobody planned that")
            if self.held.get(key.backup, 0.0) > self.time():
                self._fail(f"{key.backup} is deleted, and a restore holds it")

    def _check(self, node: str, backup: str) -> None:
        for key, md5 in self._named[node, backup].items():
            held = self.find(key)
            if held is None:
                self._fail(f"{backup} of {node} names {key}, which is absent")
            elif held.stored.digest != md5:
                self._fail(f"{backup} of {node} names {key}, which has other content")

    def _fail(self, what: str) -> None:
        raise Violation(what)


def _named(body: bytes) -> dict[str, str]:
    sections: list[dict[str, Any]] = json.loads(body)
    return {each["path"]: each["MD5"] for section in sections for each in section["objects"]}
