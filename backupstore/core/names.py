"""Names that may become part of an object key, and why some are refused.

A name is checked where it is typed, before anything is written, because stock Medusa finds things by substrings and
by prefixes without a slash: with a badly chosen name it lists the wrong mode, restores into the wrong directory, or
deletes a neighbour's data. Each rule below names the defect it avoids. Names of backups that already lie in a bucket
are read with ``is_segment`` only: what stock could write, we can list and restore.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime, timezone

from backupstore.errors import Refused

SYSTEM_KEYSPACES = frozenset(
    {
        "system",
        "system_schema",
        "system_auth",
        "system_distributed",
        "system_traces",
        "system_views",
        "system_virtual_schema",
    }
)
"""Cassandra's own. The driver's text has them, and they change with the version and not with what a user does."""

_BACKUP = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}")
_NODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,252}")
_PREFIX = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
_SEGMENT = re.compile(r"[^/\x00-\x1f\x7f]{1,255}")
_KEYSPACE = re.compile(r"[A-Za-z0-9_]{1,222}")
_TABLE_FOLDER = re.compile(r"[A-Za-z0-9_]{1,222}(-[0-9a-f]{32})?")
_INDEX_FOLDER = re.compile(r"\.[A-Za-z0-9_]{1,222}")
_FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+=-]{0,254}")

_SHOWN = 300
_WORDS = ("differential", "incremental", "tokenmap", "schema", "manifest", "started", "finished")
_MANGLED = (".json", ".cql", ".txt", ".timestamp")


def is_segment(text: str) -> bool:
    """One part of an object key that is also a harmless file name: no slash, no control character, not ``.`` or ``..``."""
    return _SEGMENT.fullmatch(text) is not None and text not in {".", ".."}


def is_keyspace(text: str) -> bool:
    """A keyspace directory as Cassandra makes them."""
    return _KEYSPACE.fullmatch(text) is not None


def is_table(text: str) -> bool:
    """A table as ``keyspace.table``: Cassandra has letters, digits and _ only in both."""
    return all(map(is_keyspace, split_table(text)))


def split_table(text: str) -> tuple[str, str]:
    """Keyspace and table of ``keyspace.table``; without a dot the table is empty."""
    keyspace, _, table = text.partition(".")
    return keyspace, table


def is_table_folder(text: str) -> bool:
    """A table directory: ``name-<32 hex digits of the id>``, or ``name`` alone on very old clusters."""
    return _TABLE_FOLDER.fullmatch(text) is not None


def is_index_folder(text: str) -> bool:
    """The hidden directory of a secondary index inside a table directory, such as ``.users_name_idx``."""
    return _INDEX_FOLDER.fullmatch(text) is not None


def is_component_file(text: str) -> bool:
    """A file of an SSTable. SAI components carry ``+`` in their names."""
    return _FILE.fullmatch(text) is not None


def name_of_time(at: float) -> str:
    """What a backup of that time (epoch seconds) is called where nobody says otherwise: in UTC, and of fixed width."""
    return f"{datetime.fromtimestamp(at, timezone.utc):%Y%m%d%H%M}"


def backup_name_problems(name: str) -> tuple[str, ...]:
    """Why a name may not be given to a new backup; empty when it may."""
    problems = []
    if _BACKUP.fullmatch(name) is None:
        problems.append("use letters, digits and _ . : - only, at most 128, beginning with a letter or digit")
    if name.startswith("data"):
        problems.append("it may not begin with 'data': stock Medusa's sweep of the shared data would delete it")
    problems += [
        f"it may not contain '{word}': stock Medusa would take its index entries for others"
        for word in _WORDS
        if word in name
    ]
    if name == "index":
        problems.append("'index' is where the indexes lie: without a prefix, its keys would look like theirs")
    if name == "meta":
        problems.append("'meta' is a folder of each backup: its node would look like a cluster without a prefix")
    if name.endswith("nodes"):
        problems.append("it may not end in 'nodes': stock Medusa would restore its files into a wrong directory")
    return tuple(problems)


def check_backup_name(name: str) -> str:
    """Return the name. Refused with every reason at once."""
    problems = backup_name_problems(name)
    if problems:
        raise Refused(
            f"{name[:_SHOWN]!r} cannot be the name of a backup: {'; '.join(problems)}.",
            hint="Choose a fixed-width name such as the default, 202611230215 (UTC, year to minute).",
            operation="name",
        )
    return name


def node_name_problems(name: str, prefix: str = "") -> tuple[str, ...]:
    """Why a node cannot be called this in the bucket; empty when it can."""
    problems = []
    if _NODE.fullmatch(name) is None:
        problems.append("use letters, digits and _ . : - only, beginning with a letter or digit")
    if name == "index":
        problems.append("'index' is where the indexes lie")
    if prefix and name == prefix:
        problems.append("it may not equal the prefix: stock Medusa could not tell the two apart")
    problems += [
        f"it may not contain '{word}_': stock Medusa would cut the name there" for word in _WORDS if f"{word}_" in name
    ]
    problems += [f"it may not contain '{part}': stock Medusa would cut it out" for part in _MANGLED if part in name]
    return tuple(problems)


def check_node_name(name: str, prefix: str = "") -> str:
    """Return the name. Refused with every reason at once."""
    problems = node_name_problems(name, prefix)
    if problems:
        raise Refused(
            f"{name[:_SHOWN]!r} cannot be the name of a node in the bucket: {'; '.join(problems)}.",
            hint="Set 'fqdn' in the [storage] section of medusa.ini, or --fqdn.",
            operation="name",
        )
    return name


def prefix_problems(prefix: str) -> tuple[str, ...]:
    """Why a prefix cannot be used; empty when it can, or when there is none."""
    if not prefix:
        return ()
    problems = []
    if _PREFIX.fullmatch(prefix) is None:
        problems.append("a prefix is one path segment of letters, digits and _ . -, without a slash")
    if prefix == "index":
        problems.append("'index' is where the indexes lie")
    if len(prefix) == 1:
        problems.append("it needs two characters or more: stock Medusa ignores a prefix of one")
    return tuple(problems)


def neighbours(name: str, others: Iterable[str]) -> tuple[str, ...]:
    """Names that begin with this one, or with which it begins: stock's purge of the shorter one deletes the longer one."""
    return tuple(
        sorted(other for other in others if other != name and (other.startswith(name) or name.startswith(other)))
    )
