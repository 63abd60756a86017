"""What two schema texts say about each other, and what a table promises about deleted rows. Text in, values out.

Used to find out whether a ring has moved on since a backup; nothing is executed from it, so that a rough split into
statements is enough: at worst a message names a statement by a wrong line.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_STATEMENT = re.compile(r"\n\s*\n(?=CREATE |ALTER )")
_NAME = re.compile(r"(?:CREATE|ALTER)\s+(?:OR REPLACE\s+)?(.+?)(?:\s*[({]|\s+WITH\b|\s+AS\b|\s+ON\b|\s*$)", re.DOTALL)
_GC_GRACE = re.compile(r"gc_grace_seconds\s*=\s*(\d+)")
_TABLE = re.compile(r"CREATE\s+(?:TABLE|MATERIALIZED VIEW)\s+(\S+)")
_ID = re.compile(r"\bID\s*=\s*([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})", re.IGNORECASE)


def statements(text: str) -> dict[str, str]:
    """Name, such as ``TABLE ks.users``, → text of the statement. A name that comes twice keeps both texts."""
    found: dict[str, str] = {}
    for chunk in _STATEMENT.split("\n\n" + text.strip()):
        body = chunk.strip()
        match = _NAME.match(body)
        if body:
            name = " ".join((match[1] if match else body[:60]).split())
            found[name] = found.get(name, "") + body
    return found


def differences(backup: str, live: str) -> tuple[str, ...]:
    """What changed from the backup's schema to the live one, one line each; empty when nothing did."""
    before, now = statements(backup), statements(live)
    lines = [f"{name} was dropped" for name in before if name not in now]
    lines += [f"{name} was changed" for name in before if name in now and before[name] != now[name]]
    lines += [f"{name} was created" for name in now if name not in before]
    return tuple(sorted(lines))


def table_ids(text: str) -> Mapping[str, str]:
    """Table id (no dashes) → table name, from statements that carry ids."""
    found = {}
    for body in statements(text).values():
        name, table_id = _TABLE.search(body), _ID.search(body)
        if name and table_id:
            found[table_id[1].replace("-", "").lower()] = name[1]
    return found


def gc_grace(text: str) -> Mapping[str, int]:
    """Table name → gc_grace_seconds."""
    found = {}
    for body in statements(text).values():
        name, grace = _TABLE.search(body), _GC_GRACE.search(body)
        if name and grace:
            found[name[1]] = int(grace[1])
    return found
