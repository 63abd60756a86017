"""What the errors of a file system mean to the caller of ``LocalStore``, and what an operator can do about each."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from backupstore.errors import BackupError, Denied, NoSpace, NotFound, Refused, Retryable

# Error numbers, what they mean, and what to do. What is not listed may pass.
_MEANINGS: tuple[tuple[frozenset[int], type[BackupError], str], ...] = (
    (
        frozenset({errno.ENOSPC, errno.EDQUOT}),
        NoSpace,
        "Free space or raise the quota of the file system of {base}; df -h and df -i show which it is.",
    ),
    (
        frozenset({errno.EFBIG}),
        NoSpace,
        "One file may not grow that large: see ulimit -f of this process and the file system of {base}.",
    ),
    (
        frozenset({errno.EACCES, errno.EPERM, errno.EROFS}),
        Denied,
        "User id {user} must own or may use {base} and all below, mounted read-write.",
    ),
    (
        frozenset({errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS}),
        Refused,
        "Without file locks documents would overwrite each other: mount {base} with locking (NFS: lockd).",
    ),
    (
        frozenset({errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.EEXIST, errno.ENOTEMPTY}),
        Refused,
        "A directory holds an object or a folder of one name, and no links. Move away what is not of these backups.",
    ),
    (frozenset({errno.ENAMETOOLONG}), Refused, "The file system takes names of up to 255 bytes."),
    (frozenset({errno.EXDEV}), Refused, "Everything below {base} must be one file system, with none mounted inside."),
    (frozenset({errno.ENOENT}), Retryable, "Something else removes files below {base} while it is in use."),
)
_MAY_PASS = (Retryable, "If it stays so, look at the kernel's log and at the disk or mount of {base}.")


@contextmanager
def translated(operation: str, key: str, base: Path) -> Iterator[None]:
    """Let no OSError out. To be put around the store's own calls only, never around a source or a sink."""
    try:
        yield
    except OSError as error:
        raise translate(error, operation, key, base) from error


def translate(error: OSError, operation: str, key: str, base: Path) -> BackupError:
    """The error of the tree that says what the caller can do. What is not known may pass: it is Retryable."""
    what = f"{operation} {key or base}: {error.strerror or error}"
    known = ((kind, hint) for numbers, kind, hint in _MEANINGS if error.errno in numbers)
    kind, hint = next(known, _MAY_PASS)
    return kind(what, hint=hint.format(base=base, user=os.geteuid()), operation=operation, key=key)


def missing_bucket(base: Path) -> NotFound:
    """The bucket's own directory is not there: hardly ever a fact about backups, nearly always a mount."""
    return NotFound(
        f"the bucket directory {base} does not exist",
        hint=f"Is it mounted? The first backup of a node (medusa-shipper backup) makes {base.name}/ itself, but only below"
        f" an existing {base.parent}.",
        operation="open bucket",
    )
