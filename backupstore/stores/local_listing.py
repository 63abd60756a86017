"""What lies below a directory, in the order in which S3 lists full keys, one directory read at a time.

Symbolic links, special files, names that are not UTF-8, unfinished files and what vanishes meanwhile are not there.
Lets OSError out; ``LocalStore`` translates.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from backupstore.ports import StoredObject
from backupstore.stores.keys import LONGEST
from backupstore.stores.local_tree import INCOMING, Parts, Tree

_INCOMING = b"/".join(INCOMING).decode() + "/"
# NFS keeps a file that was deleted while open under such a name; deleted is deleted.
_GHOST = re.compile(r"\.nfs[0-9a-f]{24}")


def scan(tree: Tree, folder: str) -> list[StoredObject]:
    """One directory, empty when it is not there. A folder in it is an entry whose key ends with ``/``.

    Sorted by these keys, hence like the full ones: ``a.b/…`` comes before ``a/…``.
    """
    found = []
    with suppress(FileNotFoundError, NotADirectoryError), _entries(tree, folder) as entries:
        for key, entry in entries:
            with suppress(FileNotFoundError):
                if entry.is_dir(follow_symlinks=False):
                    found.append(StoredObject(f"{key}/", 0, 0.0))
                elif entry.is_file(follow_symlinks=False):
                    facts = entry.stat(follow_symlinks=False)
                    found.append(StoredObject(key, facts.st_size, facts.st_mtime))
    return sorted(found, key=lambda entry: entry.key)


def holds_an_object(tree: Tree, folder: str) -> bool:
    """Whether any object lies below. Stock leaves empty directories behind; in a bucket they are nothing."""
    waiting = [folder]
    while waiting:
        with suppress(FileNotFoundError, NotADirectoryError), _entries(tree, waiting.pop()) as entries:
            for key, entry in entries:
                if entry.is_file(follow_symlinks=False):
                    return True
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(f"{key}/")
    return False


def folder_parts(folder: str) -> Parts:
    """The directories on the way down to a folder."""
    return tuple(folder.encode().split(b"/")[:-1])


@contextmanager
def _entries(tree: Tree, folder: str) -> Iterator[Iterator[tuple[str, os.DirEntry[str]]]]:
    with tree.opened(folder_parts(folder)) as handle, os.scandir(handle) as entries:
        named = ((_key_part(entry.name), entry) for entry in entries)
        keyed = ((folder + name, entry) for name, entry in named if name)
        yield (
            (key, entry) for key, entry in keyed if not f"{key}/".startswith(_INCOMING) and len(key.encode()) <= LONGEST
        )


def _key_part(name: str) -> str:
    """The name as it stands in a key; empty when no store can have written it."""
    try:
        return "" if _GHOST.fullmatch(name) else os.fsencode(name).decode()
    except UnicodeDecodeError:
        return ""
