"""What two schema texts say about each other, and what a table promises about deleted rows. Text in, values out.

Used to find out whether a ring has moved on since a backup; nothing is executed from it, so that a rough split into
statements is enough: at worst a message names a statement by a wrong line. A text may come from a hostile bucket: one
pass over its lines, no expression that could take long, and names are only shown as far as they can be printed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from backupstore.core.shown import printable

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

_HEAD = 400  # characters of a statement in which its name must stand
_NAME = re.compile(r"(?:CREATE|ALTER) (?:OR REPLACE )?([^({]+?)(?: WITH\b| AS\b| ON\b| ?[({]|$)")
_GC_GRACE = re.compile(r"\bgc_grace_seconds = ([0-9]{1,12})\b")
_TABLE = re.compile(r"CREATE (?:TABLE|MATERIALIZED VIEW) (?:IF NOT EXISTS )?([^\s(]+)")
_ID = re.compile(r"\bID = ([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})\b", re.IGNORECASE)


def statements(text: str) -> dict[str, str]:
    """Name, such as ``TABLE ks.users``, → text of the statement. A name that comes twice keeps both texts."""
    found: dict[str, list[str]] = {}
    for body in _split(text):
        found.setdefault(_name(body), []).append(body)
    return {name: "\n".join(bodies) for name, bodies in found.items()}


def _split(text: str) -> Iterator[str]:
    """A statement begins at the start of a line, after an empty one."""
    chunk: list[str] = []
    after_blank = True
    for line in [*text.split("\n"), "", "CREATE "]:
        if after_blank and line.startswith(("CREATE ", "ALTER ")):
            body = "\n".join(chunk).strip()
            if body:
                yield body
            chunk = []
        chunk.append(line)
        after_blank = not line.strip()


def _name(body: str) -> str:
    head = " ".join(body[:_HEAD].split())
    match = _NAME.match(head)
    return printable(match[1] if match else head[:60])


def differences(backup: str, live: str) -> tuple[str, ...]:
    """What users changed from the backup's schema to the live one, one line each; empty when nothing did."""
    before, now = _of_users(statements(backup)), _of_users(statements(live))
    lines = [f"{name} was dropped" for name in before if name not in now]
    lines += [f"{name} was changed" for name in before if name in now and before[name] != now[name]]
    lines += [f"{name} was created" for name in now if name not in before]
    return tuple(sorted(lines))


def _of_users(found: Mapping[str, str]) -> dict[str, str]:
    return {name: body for name, body in found.items() if _keyspace(name, body) not in SYSTEM_KEYSPACES}


def _keyspace(name: str, body: str) -> str:
    """Of ``TABLE ks.users``: ks. An index is named without its keyspace; that of its table stands after ON."""
    *kind, qualified = name.split()
    if "INDEX" in kind:
        qualified = next(iter(body[:_HEAD].partition(" ON ")[2].split()), "")
    return qualified.partition(".")[0]


def table_ids(text: str) -> Mapping[str, str]:
    """Table id (32 hex digits) → table name, from statements that carry ids."""
    found = {}
    for body in statements(text).values():
        name, table_id = _TABLE.search(body), _ID.search(body)
        if name and table_id:
            found[table_id[1].replace("-", "").lower()] = printable(name[1])
    return found


def gc_grace(text: str) -> Mapping[str, int]:
    """Table name → gc_grace_seconds, of users' tables."""
    found = {}
    for body in _of_users(statements(text)).values():
        name, grace = _TABLE.search(body), _GC_GRACE.search(body)
        if name and grace:
            found[printable(name[1])] = int(grace[1])
    return found
