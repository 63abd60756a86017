"""The commands that only read: list-backups, status, get-last-complete-cluster-backup, fetch-tokenmap.

They read one small document of the catalog. When that is missing or behind they say so, on stderr, and read the bucket.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from backupstore.chance import random_text
from backupstore.core import layout as grammar
from backupstore.core import tokenmap
from backupstore.core.catalog import line_of
from backupstore.core.documents import ClusterBackup, Head, Line
from backupstore.core.reporting import last_complete
from backupstore.errors import Corrupt, NotFound
from backupstore.operations.reading import is_behind, read_backup, read_head, survey, survey_backup
from backupstore.wiring import bucket_identity, check_bucket
from shipper.cli import text
from shipper.cli.console import out, out_json
from shipper.cli.logs import log
from shipper.cli.options import Globals
from shipper.state import StateDirectory

_AT_ONCE = 16


class Listing(NamedTuple):
    """The head, and every document where the bucket itself had to be read.

    ``checked``: when the catalog was last confirmed, though it may be behind; None when there is none that can be read.
    """

    head: Head
    documents: dict[str, ClusterBackup] | None
    checked: float | None


def _head(chosen: Globals) -> tuple[Head | None, float | None]:
    """The head, None when it cannot be relied on, which is told; and when it was last confirmed."""
    settings = chosen.settings
    check_bucket(chosen.store)
    try:
        head = read_head(chosen.store, chosen.layout)
    except Corrupt as error:
        _warn(error.message)
        return None, None
    checked = head.checked if head else None
    last = StateDirectory(settings.shipper.state_dir).read("last")
    reason = is_behind(
        head,
        now=chosen.clock.now(),
        interval=float(settings.shipper.reconcile_interval),
        last_own=str(last["backup"]) if last.get("bucket") == bucket_identity(settings.storage) else None,
        node=str(last.get("node", "")),
    )
    if reason is not None:
        _warn(reason)
        return None, checked
    return head, checked


def _warn(reason: str) -> None:
    log.warning("%s: reading the bucket itself. Is 'medusa-shipper serve' running beside it?", reason)


def listing(chosen: Globals) -> Listing:
    """What there is, by the catalog or by the bucket itself."""
    head, checked = _head(chosen)
    if head is not None:
        return Listing(head, None, checked)
    found = survey(chosen.store, chosen.layout, now=chosen.clock.now(), revision=random_text)
    return Listing(found.head, found.documents, checked)


def run_list(chosen: Globals, *, show_all: bool, output: str) -> None:
    """``list-backups``."""
    head, documents, _ = listing(chosen)
    lines = text.lines_for(head, None if show_all else chosen.node_name)
    if output == "json":
        found = _documents(chosen, lines) if documents is None else (documents[line.name] for line in lines)
        out_json([text.as_stock(document) for document in found if line_of(document)])
        return
    for line in text.list_text(lines):
        out(line)
    if not lines and head.backups:
        log.warning(
            "%s has no backup here; --show-all lists the %d of other nodes", chosen.node_name, len(head.backups)
        )
    elif not lines:
        log.info("there are no backups yet")


def _documents(chosen: Globals, lines: Iterable[Line]) -> Iterator[ClusterBackup]:
    """One read for each backup, many at a time; in the order of the lines."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for document in pool.map(lambda line: _document(chosen, line.name), lines):
            if document is not None:
                yield document


def _document(chosen: Globals, name: str) -> ClusterBackup | None:
    """What the catalog says of one backup; what the bucket says, where that cannot be read or says nothing."""
    try:
        document = read_backup(chosen.store, chosen.layout, name)
    except Corrupt as error:
        _warn(error.message)
        document = None
    return document or survey_backup(chosen.store, chosen.layout, name)


def _backup(chosen: Globals, name: str) -> ClusterBackup:
    """One cluster backup. NotFound when there is none of that name, or it was given up."""
    document = survey_backup(chosen.store, chosen.layout, name) if _head(chosen)[0] is None else _document(chosen, name)
    if document is None or line_of(document) is None:
        given_up = f": it was given up by {', '.join(sorted(document.nodes))}" if document else ""
        raise NotFound(
            f"There is no backup {name}{given_up}.",
            hint="list-backups --show-all shows what there is.",
            operation="status",
            key=name,
        )
    return document


def run_status(chosen: Globals, name: str, *, output: str) -> None:
    """``status``."""
    try:
        document = _backup(chosen, name)
    except NotFound:
        if output == "json":
            out_json({})
        raise
    if output == "json":
        out_json(text.as_stock(document))
        return
    for line in text.status_text(document):
        out(line)


def run_last_complete(chosen: Globals) -> None:
    """``get-last-complete-cluster-backup``: exit code 0 even when there is none, as stock."""
    line = last_complete(listing(chosen).head)
    out(line.name if line else "Could not find any full backup for the cluster")


def run_tokenmap(chosen: Globals, name: str) -> None:
    """``fetch-tokenmap``: the ring of each datacenter, as the node saw it that started first."""
    document = _backup(chosen, name)
    live = ((fact.started, node) for node, fact in document.nodes.items() if fact.ring and not fact.abandoned)
    told: set[str] = set()
    for _, node in sorted(live):
        if node in told:
            continue
        key = chosen.layout.meta(node, name, grammar.TOKENMAP)
        for member, place in tokenmap.parse(chosen.store.read(key).body, key).items():
            if member not in told:
                told.add(member)
                out(member)
                out(str(list(place.tokens)))
    if not told:
        raise Corrupt(
            f"No node backup of {name} has a tokenmap that can be read.",
            hint=f"status --backup-name {name} tells what is wrong with it.",
            operation="fetch-tokenmap",
            key=name,
        )
