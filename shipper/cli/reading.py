"""The commands that only read: list-backups, status, get-last-complete-cluster-backup, fetch-tokenmap.

They read one small document of the catalog. When that is missing or behind they say so, on stderr, and read the bucket.
"""

from __future__ import annotations

import logging
import uuid
from concurrent.futures import ThreadPoolExecutor

import typer

from backupstore.core import layout as grammar
from backupstore.core import tokenmap
from backupstore.core.documents import ClusterBackup, Head
from backupstore.errors import Corrupt, NotFound
from backupstore.operations.reading import is_behind, read_backup, read_head, survey
from backupstore.wiring import bucket_identity
from shipper.cli import text
from shipper.cli.console import out, out_json
from shipper.cli.options import Globals
from shipper.state import StateDirectory

_log = logging.getLogger("medusa-shipper")
_AT_ONCE = 16


def _head(chosen: Globals) -> tuple[Head, dict[str, ClusterBackup] | None]:
    """The head, and every document where the bucket itself had to be read."""
    settings = chosen.settings
    try:
        head = read_head(chosen.store, chosen.layout)
    except Corrupt as error:
        reason: str | None = error.message
        head = None
    else:
        last = StateDirectory(settings.shipper.state_dir).read("last")
        reason = is_behind(
            head,
            now=chosen.clock.now(),
            interval=float(settings.shipper.reconcile_interval),
            last_own=str(last["backup"]) if last.get("bucket") == bucket_identity(settings.storage) else None,
            node=str(last.get("node", "")),
        )
    if head is not None and reason is None:
        return head, None
    _log.warning("%s: reading the bucket itself. Is 'medusa-shipper serve' running beside it?", reason)
    found = survey(chosen.store, chosen.layout, now=chosen.clock.now(), revision=lambda: uuid.uuid4().hex)
    return found.head, found.documents


def run_list(chosen: Globals, *, show_all: bool, output: str) -> None:
    """``list-backups``."""
    _check(output)
    head, documents = _head(chosen)
    lines = text.lines_for(head, None if show_all else chosen.node_name)
    if output == "json":
        names = [line.name for line in lines]
        if documents is None:
            with ThreadPoolExecutor(_AT_ONCE) as pool:
                found = list(pool.map(lambda name: read_backup(chosen.store, chosen.layout, name), names))
        else:
            found = [documents.get(name) for name in names]
        out_json([text.as_stock(document) for document in found if document is not None])
        return
    for line in text.list_text(lines):
        out(line)
    if not lines and head.backups:
        _log.warning(
            "%s has no backup here; --show-all lists the %d of other nodes", chosen.node_name, len(head.backups)
        )


def _backup(chosen: Globals, name: str) -> ClusterBackup:
    """One cluster backup. NotFound when there is none of that name."""
    try:
        document = read_backup(chosen.store, chosen.layout, name)
    except Corrupt as error:
        _log.warning("%s: reading the bucket itself", error.message)
        document = None
    if document is None:
        _, documents = _head(chosen)
        document = (documents or {}).get(name)
    if document is None:
        raise NotFound(
            f"There is no backup {name}.",
            hint="list-backups --show-all shows what there is.",
            operation="status",
            key=name,
        )
    return document


def run_status(chosen: Globals, name: str, *, output: str) -> None:
    """``status``."""
    _check(output)
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
    head, _ = _head(chosen)
    out(text.last_complete(head) or "Could not find any full backup for the cluster")


def run_tokenmap(chosen: Globals, name: str) -> None:
    """``fetch-tokenmap``: the ring of each datacenter, as the node saw it that started first."""
    document = _backup(chosen, name)
    told: set[str] = set()
    for node, _ in sorted(document.nodes.items(), key=lambda item: (item[1].started, item[0])):
        if node in told:
            continue
        key = chosen.layout.meta(node, name, grammar.TOKENMAP)
        for member, place in tokenmap.parse(chosen.store.read(key).body, key).items():
            if member not in told:
                told.add(member)
                out(member)
                out(str(list(place.tokens)))


def _check(output: str) -> None:
    if output not in {"text", "json"}:
        raise typer.BadParameter("text or json", param_hint="--output")
