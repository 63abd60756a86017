"""The refusals that every store gives in the same words: what an operator reads does not depend on the store."""

from __future__ import annotations

from pathlib import Path

from backupstore.errors import Conflict, Corrupt, Denied, NotFound


def absent(operation: str, key: str) -> NotFound:
    """There is no object of that key."""
    return NotFound(
        f"{operation} {key}: there is no such object",
        hint="It was deleted or never written; list the backups to see what is there.",
        operation=operation,
        key=key,
    )


def taken(operation: str, key: str) -> Conflict:
    """A create-only write found the key in use."""
    return Conflict(
        f"{operation} {key}: there is an object already",
        hint="Objects are never overwritten; whoever wrote it was first.",
        operation=operation,
        key=key,
    )


def changed(key: str) -> Conflict:
    """A compare-and-swap found another version, or nothing."""
    return Conflict(
        f"replace {key}: it is gone or no longer at the version that was read",
        hint="Another writer was first; read it again and start over.",
        operation="replace",
        key=key,
    )


def changed_meanwhile(key: str) -> Corrupt:
    """The object is not the one of which earlier bytes were read."""
    return Corrupt(
        f"fetch {key}: the object changed while it was read",
        hint="Something overwrites objects, which no program of ours does. Verify the backup.",
        operation="fetch",
        key=key,
    )


def too_large(key: str, limit: int) -> Corrupt:
    """An object that should be small is not."""
    return Corrupt(
        f"read {key}: larger than {limit} bytes",
        hint="No document of ours is that large: look at what wrote it.",
        operation="read",
        key=key,
    )


def wrong_size(operation: str, key: str, size: int) -> Corrupt:
    """A source did not give the bytes that it promised."""
    return Corrupt(
        f"{operation} {key}: the source gave more or fewer than its {size} bytes",
        hint="The file changed while it was read; nothing was stored. Try again.",
        operation=operation,
        key=key,
    )


def unreadable_key_file(path: Path) -> Denied:
    """The credentials are there, and not for us."""
    return Denied(
        f"[storage] key_file = {path} may not be read.",
        hint="Give the user who runs this program the right to read it, and nobody else.",
        operation="credentials",
    )
