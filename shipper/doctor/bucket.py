"""The store: is it there, does it keep its conditions, what may these credentials do, and what time is it there?

One small object of doctor's own is written below the node's folder, tried on, and removed again where that is allowed;
where it is not, as it should be on a node, it stays, and the next examination finds it in use. Two more show whether
announcements and holds may be created. Nobody else looks at them: they are objects in folders of which only folders are
listed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import suppress

from backupstore.core.contents import plain_md5
from backupstore.errors import BackupError, Conflict, Denied, NotFound
from backupstore.stores.examination import Examinable
from backupstore.stores.local import LocalStore
from backupstore.stores.probe import is_without_conditions, probe_compare_and_swap, probe_create_only
from backupstore.wiring import bucket_identity, check_bucket
from shipper.doctor.case import Case, bucket_of
from shipper.doctor.findings import Report, fail, ok, unchecked, warn

BODY = b"medusa-shipper doctor was here; this may be deleted at any time\n"
_OTHER_BODY = BODY + b"\n"
_RIGHTS = "docs/permissions.md has the policy that a node needs; give these credentials what it names."
_SOME, _FAR = 60.0, 900.0
_ALONE = (
    "Use a store that keeps them. As long as you cannot: one machine for each node name, one backup at a time, and one"
    " single 'serve'."
)


def look_at_bucket(case: Case) -> Iterator[Report]:
    """Whether it answers, and whether what the node must read can be read."""
    where = _where(case)
    if isinstance(case.store, LocalStore) and not case.store.exists():
        yield _no_directory(case)
        return
    check_bucket(case.store)
    case.store.entries(case.folder)
    with suppress(NotFound):
        case.store.head(case.layout.head())
    yield ok(f"{where} answers, and what lies below {case.folder} can be listed")


def _no_directory(case: Case) -> Report:
    bucket = bucket_of(case.settings.storage)
    used = case.state.read("last").get("bucket") == bucket_identity(case.settings.storage)
    if used or not bucket.parent.is_dir():
        return fail(
            f"the bucket directory {bucket} does not exist" + (", and has been there before" * used),
            f"Mount it. The first backup makes {bucket.name}/ itself, but only below an existing {bucket.parent}.",
        )
    return warn(
        f"the bucket directory {bucket} does not exist yet",
        f"The first backup makes it. If {bucket.parent} is where a file server should be mounted, mount it first.",
    )


def look_at_writing(case: Case) -> Iterator[Report]:
    """Whether a node's objects can be created and read back, and are never overwritten."""
    if case.no_probe:
        yield case.no_probe
        return
    store, key = case.store, case.layout.node_probe(case.name)
    kept = probe_create_only(store, key, BODY)
    if kept:
        yield ok("objects are created only where there is none")
    elif is_without_conditions(store):
        yield warn("this provider knows no conditional writes: the program looks first, and writes then", _ALONE)
    else:
        yield fail("the store overwrites objects that were to be created only if absent", _ALONE)
    read = store.read(key).body
    if read in {BODY, _OTHER_BODY, b"x"}:
        yield ok("what was written is read back")
    else:
        yield fail(f"{key} was read back with other bytes", "Something on the way changes data: try without proxies.")
    yield from _digest(store.head(key).digest, read)


def look_at_announcing(case: Case) -> Iterator[Report]:
    """Whether what a node tells others can be told."""
    if case.no_probe:
        yield case.no_probe
        return
    yield from _may_create(case, case.layout.announced_probe(case.name), "announce backups", fail)
    yield from _may_create(case, case.layout.hold_probe(), "create holds", _no_hold)


def _no_hold(seen: str, todo: str) -> Report:
    return warn(
        f"{seen}: a restore could not protect its backup meanwhile, and needs --without-hold",
        f"{todo} There is one for nodes that back up only, and one for those that restore.",
    )


def _digest(digest: str | None, body: bytes) -> Iterator[Report]:
    if digest is not None and plain_md5(digest) != hashlib.md5(body, usedforsecurity=False).digest():
        yield ok(
            "ETags are no MD5 here, as with keys of KMS or SSE-C: stock Medusa cannot compare digests; we have our own"
        )


def _may_create(case: Case, key: str, what: str, otherwise: Callable[[str, str], Report]) -> Iterator[Report]:
    try:
        case.store.create(key, BODY)
    except Denied as error:
        yield otherwise(
            f"these credentials may not {what} ({key})", error.hint if isinstance(case.store, LocalStore) else _RIGHTS
        )
        return
    except Conflict:
        pass
    yield ok(f"these credentials may {what}")


def look_at_parts(case: Case) -> Iterator[Report]:
    """Whether large objects are created only where there is none: a condition that servers learned later."""
    if not isinstance(case.store, Examinable):
        return
    if case.store.examination().creates_in_parts(case.layout.node_probe(case.name)):
        yield ok("uploads in parts create only where there is no object")
    else:
        yield warn(
            "an upload in parts overwrites an object that came there meanwhile (If-None-Match is ignored by"
            " CompleteMultipartUpload)",
            "Upgrade the server. Until then no two machines may have the same node name.",
        )


def look_at_powers(case: Case) -> Iterator[Report]:
    """Whether these credentials can destroy what a node has shipped. Comes after everything that needs the probe."""
    key = case.layout.node_probe(case.name)
    if isinstance(case.store, LocalStore):
        case.store.delete([key, case.layout.announced_probe(case.name), case.layout.hold_probe()])
        yield ok(
            "on a directory, whoever can create files can delete them: snapshots of the file server protect backups"
            " from a stolen node"
        )
        return
    overwrites = _may(lambda: case.store.put(key, _OTHER_BODY))
    deletes = _may(lambda: case.store.delete([key]))
    if deletes:
        with suppress(BackupError):
            case.store.delete([case.layout.announced_probe(case.name), case.layout.hold_probe()])
    yield judge_powers(overwrites=overwrites, deletes=deletes)


def judge_powers(*, overwrites: bool, deletes: bool) -> Report:
    """A node needs neither."""
    powers = [word for word, held in (("overwrite", overwrites), ("delete", deletes)) if held]
    if not powers:
        return ok("these credentials may create objects, and neither overwrite nor delete them")
    return warn(
        f"these credentials may {' and '.join(powers)} backups: whoever breaks into this node can destroy them",
        "A node needs to create only; docs/permissions.md has the policy. Where a server cannot forbid overwriting,"
        " versioning keeps the old content. Where purge or 'serve' runs, this is as it should be.",
    )


def _may(what: Callable[[], object]) -> bool:
    try:
        what()
    except Denied:
        return False
    return True


def look_at_swapping(case: Case, revision: str) -> Iterator[Report]:
    """Whether documents of the catalog are replaced only at the version that was read. Matters where the index is kept."""
    if case.no_probe:
        yield case.no_probe
        return
    try:
        swaps = probe_compare_and_swap(case.store, case.layout.catalog_probe(), revision)
    except Denied:
        yield unchecked(
            "these credentials may not write the catalog, as it should be on a node",
            "Ask 'doctor --only index' with the credentials that 'serve' or the indexer has.",
        )
        return
    if is_without_conditions(case.store):
        yield warn("documents of the catalog are looked at first, and replaced then: one writer only", _ALONE)
    elif swaps:
        yield ok("documents of the catalog are replaced only at the version that was read")
    else:
        yield fail("the store replaces documents whatever their version: two indexers would lose updates", _ALONE)


def look_at_clock(case: Case) -> Iterator[Report]:
    """How far the store's clock is from this machine's."""
    if isinstance(case.store, Examinable):
        yield judge_skew(case.store.examination().skew(case.folder), _FAR)
    else:
        before = case.clock.now()
        case.store.put(case.layout.node_probe(case.name), BODY)
        written = case.store.head(case.layout.node_probe(case.name)).modified
        yield judge_skew(written - (before + case.clock.now()) / 2, float("inf"))


def judge_skew(skew: float, refused_from: float) -> Report:
    """``skew``: the store's clock minus ours, in seconds; from ``refused_from`` on, requests are refused."""
    if abs(skew) <= _SOME:
        return ok(
            "the clocks of store and machine agree" + ("" if abs(skew) <= 1 else f" within {abs(skew):.0f} seconds")
        )
    text = f"this machine's clock is {abs(skew):.0f} seconds {'ahead of' if skew < 0 else 'behind'} the store's"
    todo = "Set it by NTP (chronyc tracking, timedatectl)"
    if abs(skew) > refused_from:
        return fail(text, f"{todo}: signed requests are refused from 15 minutes on.")
    return warn(text, f"{todo}: times in lists are those of the store, deadlines those of this machine.")


def _where(case: Case) -> str:
    storage = case.settings.storage
    if storage.provider == "local":
        return f"the directory {bucket_of(storage)}"
    return f"bucket {storage.bucket_name} at {storage.address}"
