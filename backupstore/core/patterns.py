"""Patterns of keys, in which the tables of rights (``writers``, ``readers``) say what lies below what.

A pattern is the beginning of keys. In it ``{P}`` is the cluster's folder, ``{-}`` its name in announcements, ``{F}`` the
node's own name, and ``{N}`` one segment that is any name but ``index``: a node's, or below a node's folder a backup's.
"""

from __future__ import annotations

from backupstore.core.layout import INDEX, NO_PREFIX, Layout


def lies_below(pattern: str, key: str, layout: Layout, node: str = "") -> bool:
    """Whether the key, or folder, lies below the pattern. One with ``{F}`` covers nothing for a nameless principal."""
    if "{F}" in pattern and not node:
        return False
    start = pattern.replace("{P}", layout.root).replace("{-}", layout.prefix or NO_PREFIX).replace("{F}", node)
    return _matches(start, key)


def _matches(pattern: str, key: str) -> bool:
    start, any_name, rest = pattern.partition("{N}")
    if not any_name or not key.startswith(start):
        return key.startswith(start)
    name, slash, below = key[len(start) :].partition("/")
    return name not in {"", INDEX} and _matches(rest, slash + below)
