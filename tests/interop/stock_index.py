"""What stock's index must hold for the backups that there are: all of their rows, none that dangles, and the right markers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

_STAMP = re.compile(r"_\d+\.timestamp$")
Backups = Mapping[str, str]
"""Mode by name, the oldest first."""


def check_index(keys: Iterable[str], root: str, backups: Backups, nodes: Iterable[str]) -> None:
    """Every node has finished each of these, and there are no others. ``root``: the prefix with its slash, or nothing."""
    folder = f"{root}index/backup_index/"
    found = [_STAMP.sub("_N.timestamp", key.removeprefix(folder)) for key in keys if key.startswith(folder)]
    wanted = [f"{name}/{row}" for name, mode in backups.items() for node in nodes for row in _rows(node, mode)]
    assert sorted(found) == sorted(wanted)


def check_markers(read: Callable[[str], bytes], root: str, last: str, nodes: Iterable[str]) -> None:
    """Each node's last backup is this one."""
    for node in nodes:
        marker = f"{root}index/latest_backup/{node}"
        assert read(f"{marker}/backup_name.txt") == last.encode()
        assert read(f"{marker}/tokenmap.json") == read(f"{root}{node}/{last}/meta/tokenmap.json")


def _rows(node: str, mode: str) -> list[str]:
    stamps = [f"started_{node}_N.timestamp", f"finished_{node}_N.timestamp"]
    copies = [f"schema_{node}.cql", f"tokenmap_{node}.json", f"manifest_{node}.json"]
    return [*stamps, *copies, *([f"differential_{node}"] if mode == "differential" else [])]
