"""What a process of its own does to a directory bucket in the tests: ``python -m tests.conformance.local_worker …``.

It says ``ready`` when it is, begins when it is told to by a line on its input, and prints what came of it.
"""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path

from backupstore.errors import BackupError, Conflict
from backupstore.ports import StoredObject
from backupstore.stores.local import LocalStore
from tests.conformance.samples import MIB, Pattern, whole

NOBODY = 65534


def create(store: LocalStore, name: str) -> str:
    """Race for ten keys; print those won."""
    won = []
    for number in range(10):
        try:
            store.create(f"race/{number}/a", name.encode())
        except Conflict:
            continue
        won.append(str(number))
    return " ".join(won)


def count(store: LocalStore, times: str) -> str:
    """Add one, so many times."""
    done = 0
    while done < int(times):
        seen = store.read("counter")
        try:
            store.replace("counter", b"%d" % (int(seen.body) + 1), seen.version)
        except Conflict:
            continue
        done += 1
    return str(done)


def churn(store: LocalStore, name: str) -> str:
    """Create and delete below one folder, so that its directory comes and goes all the time."""
    for turn in range(200):
        key = f"churn/deep/er/{name}-{turn}"
        store.create(key, b"here")
        if store.read(key).body != b"here":
            return f"lost {key}"
        store.delete([key])
    store.create(f"churn/deep/er/{name}", b"stays")
    return "fine"


def write_forever(store: LocalStore, name: str) -> str:
    """Write objects whose name tells their content, until killed."""
    for turn in range(1_000_000):
        size = (turn * 700_001) % (2 * MIB)
        store.upload(f"killed/{name}-{turn}/{size}", whole(size))
        store.put("killed/document", b"%d" % (turn % 10) * 300_000)
    return ""


def limited(store: LocalStore, limit: str) -> str:
    """Upload more than a file of this process may hold."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
    return _outcome(lambda: store.upload("big", whole(3 * MIB)))


def unprivileged(store: LocalStore, verb: str) -> str:
    """Do something as a user who may not; root first becomes nobody."""
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    match verb:
        case "create":
            return _outcome(lambda: store.create("new/object", b""))
        case "put":
            return _outcome(lambda: store.put("there", b""))
        case "delete":
            return _outcome(lambda: store.delete(["there"]))
        case "list":
            return _outcome(lambda: [stored.key for stored in store.list("")])
        case "source":
            return _outcome(lambda: store.upload("new/object", Pattern(3, 3, breaks=True)))
        case _:
            return _outcome(lambda: store.read(verb).body)


def _outcome(call: object) -> str:
    assert callable(call)
    try:
        result = call()
    except BackupError as error:
        return f"{type(error).__name__}: {error.explained}"
    return repr(result.key if isinstance(result, StoredObject) else result)


WORK = {
    "create": create,
    "count": count,
    "churn": churn,
    "write-forever": write_forever,
    "limited": limited,
    "unprivileged": unprivileged,
}

if __name__ == "__main__":
    base, work, argument = sys.argv[1:]
    bucket = LocalStore(Path(base))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    sys.stdout.write(WORK[work](bucket, argument) + "\n")
