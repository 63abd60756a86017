"""A coordinator that is killed after each single thing that it writes, and begun anew each time.

python -m tests.cluster.fragile_coordinator <bucket> <signing key> <deaths>

Each life is a process of its own, forked from this one for the time that imports take. It does what `serve` and the function do in
a call, and dies by SIGKILL as soon as it has written one document; ``deaths`` gets a line for each: the document's key.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from backupstore.core.layout import Layout
from backupstore.operations.coordinate import Coordinator
from backupstore.ports import StoredObject
from backupstore.signing import read_signer
from backupstore.stores.local import LocalStore
from tests.harness.leash import PR_SET_PDEATHSIG
from tests.killing import suicide

_LOOK = 0.3


def run() -> None:
    """Run it until somebody ends it."""
    bucket, key, deaths = map(Path, sys.argv[1:])
    signer = read_signer(key)
    _be_mortal(deaths)
    while True:
        child = os.fork()
        if child == 0:
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            coordinator = Coordinator(LocalStore(bucket), Layout(), signer, lambda: uuid.uuid4().hex)
            while True:
                coordinator.coordinate(time.time())
                time.sleep(_LOOK)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            sys.exit(os.waitstatus_to_exitcode(status))


def _be_mortal(deaths: Path) -> None:
    def deadly(write: Callable[..., StoredObject]) -> Callable[..., StoredObject]:
        def call(store: LocalStore, key: str, *rest: object) -> StoredObject:
            written = write(store, key, *rest)
            with deaths.open("a") as out:
                out.write(f"{key}\n")
            suicide()
            return written

        return call

    LocalStore.create = deadly(LocalStore.create)  # type: ignore[method-assign]
    LocalStore.replace = deadly(LocalStore.replace)  # type: ignore[method-assign]


if __name__ == "__main__":
    run()
