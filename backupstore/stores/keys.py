"""Which object keys a store takes: the same for every store, so that a key that works on one works on all.

A key may come out of a manifest that somebody else wrote. On a directory ``..`` leaves the bucket; S3 gateways that
keep files treat ``.`` and empty segments in ways of their own. Checked before anything is touched.
"""

from __future__ import annotations

from backupstore.errors import Refused

LONGEST = 1024  # bytes of UTF-8; the limit of S3 and of GCS
_HINT = "Nothing was touched. The name stands in a document that this program did not write: find out who wrote it."


def check_key(key: str, operation: str) -> str:
    """Return the key. Refused when no object of ours can have it."""
    if any(part in {"", ".", ".."} for part in key.split("/")):
        raise Refused(f"not an object key: {key!r}", hint=_HINT, operation=operation, key=key)
    try:
        size = len(key.encode())
    except UnicodeEncodeError:  # half of a surrogate pair
        size = -1
    if size < 0 or "\0" in key:
        raise Refused(f"not an object key, it is not clean text: {key!r}", hint=_HINT, operation=operation, key=key)
    if size > LONGEST:
        raise Refused(f"an object key of more than {LONGEST} bytes: {key[:80]!r}…", hint=_HINT, operation=operation)
    return key


def check_folder(folder: str, operation: str) -> str:
    """Return the folder: empty, or a key and a slash. Refused otherwise: without it, ``d1`` would list ``d10``."""
    if folder and not folder.endswith("/"):
        raise Refused(
            f"a folder ends with '/': {folder!r}",
            hint="This is a mistake in the program, not in the bucket: please report it.",
            operation=operation,
            key=folder,
        )
    if folder:
        check_key(folder[:-1], operation)
    return folder
