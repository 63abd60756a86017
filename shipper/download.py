"""Downloading a node backup into a directory, laid out as stock's ``download`` does: ``KS/CF/…`` and the meta files beside."""

from __future__ import annotations

import shutil
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from backupstore.core import layout as grammar
from backupstore.core.layout import Layout
from backupstore.errors import NoSpace, NotFound, Refused
from backupstore.ports import ObjectStore
from shipper.meta import find
from shipper.progress import Progress
from shipper.snapshot import Filters
from shipper.state import disk_error
from shipper.transfer.download import Downloader
from shipper.transfer.fetch_plan import FetchPlan, read_plan

SYSTEM_KEYSPACES = frozenset(
    {
        "system",
        "system_schema",
        "system_auth",
        "system_distributed",
        "system_traces",
        "system_views",
        "system_virtual_schema",
    }
)
_META = (grammar.SCHEMA, grammar.TOKENMAP, grammar.MANIFEST)  # the manifest last: it says that the download is whole


@dataclass(frozen=True, slots=True)
class Request:
    """What ``download`` was asked to do."""

    node: str
    backup: str
    destination: Path
    filters: Filters = Filters()
    ignore_system: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """What came down."""

    files: int
    size: int
    tables: int


def download(store: ObjectStore, layout: Layout, request: Request, *, workers: int, progress: Progress) -> Report:
    """Fetch and check. NotFound, Refused, Corrupt, NoSpace; a file that is there has the right content."""
    found = find(store, layout, request.node, request.backup)
    if grammar.MANIFEST not in found.files or grammar.ABANDONED in found.files:
        raise NotFound(
            f"There is no finished backup {request.backup} of {request.node}.",
            hint="list-backups --show-all shows what there is; --fqdn chooses the node.",
            operation="download",
            key=request.backup,
        )
    if not request.destination.is_dir():
        raise Refused(
            f"{request.destination} is not a directory.",
            hint="Make it first: mkdir -p, on a disk with enough space.",
            operation="download",
        )
    work = request.destination / ".medusa-shipper-download.sqlite"
    try:
        with closing(read_plan(work, store, layout, request.node, request.backup)) as plan:
            return _fetch(store, layout, request, plan, workers=workers, progress=progress)
    finally:
        work.unlink(missing_ok=True)


def _fetch(
    store: ObjectStore, layout: Layout, request: Request, plan: FetchPlan, *, workers: int, progress: Progress
) -> Report:
    _select(plan, request)
    files, size, corrupt = plan.totals()
    tables = list(plan.tables())
    _check_destination(request, size)
    if corrupt:
        progress.warn(f"{corrupt} of these components were corrupt on the node's disk already when they were backed up")
    plan.place([0])
    Downloader(store, lambda _: request.destination, workers=workers).fetch(plan, progress, trust_present=False)
    try:
        for keyspace, table in tables:
            (request.destination / keyspace / table).mkdir(parents=True, exist_ok=True)
        for file in _META:
            _fetch_meta(store, layout.meta(request.node, request.backup, file), request.destination / file)
    except OSError as error:
        raise disk_error(error, request.destination, "download") from error
    return Report(files, size, len(tables))


def _fetch_meta(store: ObjectStore, key: str, target: Path) -> None:
    part = target.with_name(f".{target.name}.part")
    with part.open("wb") as out:

        def sink(piece: bytes) -> None:
            out.write(piece)

        store.fetch(key, sink)
    part.rename(target)


def _select(plan: FetchPlan, request: Request) -> None:
    filters = request.filters
    tables = frozenset(_pair(table) for table in filters.tables)
    plan.keep_only(frozenset(filters.keyspaces), tables)
    if request.ignore_system:
        others = frozenset(keyspace for keyspace, _ in plan.tables()) - SYSTEM_KEYSPACES
        plan.keep_only(others or frozenset({""}), frozenset())
    if not any(plan.tables()):
        raise NotFound(
            f"The backup {request.backup} of {request.node} holds nothing of what was asked for.",
            hint="Write names as they are on disk: --keyspace shop, --table shop.orders.",
            operation="download",
        )


def _pair(table: str) -> tuple[str, str]:
    keyspace, dot, name = table.partition(".")
    if not dot or not name:
        raise Refused(
            f"--table {table}: a table is named keyspace.table.",
            hint="For example --table shop.orders.",
            operation="download",
        )
    return keyspace, name


def _check_destination(request: Request, size: int) -> None:
    """What is there already may be a download of something else: only our own unfinished one is gone on with."""
    free = shutil.disk_usage(request.destination).free
    if size > free:
        raise NoSpace(
            f"{size:,} bytes are needed in {request.destination}, {free:,} are free.",
            hint="Choose another destination.",
            operation="download",
        )
    manifest = request.destination / grammar.MANIFEST
    if manifest.exists():
        raise Refused(
            f"{request.destination} holds a download already.",
            hint="Choose an empty directory.",
            operation="download",
            key=str(manifest),
        )
