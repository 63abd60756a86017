"""Downloading a node backup into a directory as stock's ``download`` does: ``KS/CF/…``, and the meta files beside."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from backupstore.core import layout as grammar
from backupstore.core.layout import Layout
from backupstore.core.names import SYSTEM_KEYSPACES
from backupstore.errors import NoSpace, NotFound, Refused
from backupstore.ports import ObjectStore
from shipper.meta import look
from shipper.progress import Progress
from shipper.snapshot import Filters
from shipper.state import disk_error
from shipper.transfer.download import Downloader
from shipper.transfer.fetch_plan import FetchPlan, read_plan

_META = (grammar.SCHEMA, grammar.TOKENMAP, grammar.MANIFEST)  # the manifest last: it says that the download is whole
_MARK = ".medusa-shipper-download.json"
_PLAN = ".medusa-shipper-download.sqlite"
_MOUNT = "lost+found"


@dataclass(frozen=True, slots=True)
class Request:
    """What ``download`` was asked to do."""

    node: str
    backup: str
    destination: Path
    filters: Filters = field(default_factory=Filters)
    ignore_system: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """What came down."""

    files: int
    size: int
    tables: int


def download(store: ObjectStore, layout: Layout, request: Request, *, workers: int, progress: Progress) -> Report:
    """Fetch and check. NotFound, Refused, Corrupt, NoSpace; a file that is there has the right content."""
    found = look(store, layout, request.node, request.backup)
    if grammar.MANIFEST not in found.files or grammar.ABANDONED in found.files:
        raise NotFound(
            f"There is no finished backup {request.backup} of {request.node}.",
            hint="list-backups --show-all shows what there is; --fqdn chooses the node.",
            operation="download",
            key=request.backup,
        )
    with _ours(request, layout):
        path = request.destination / _PLAN
        with closing(read_plan(path, store, layout, request.node, request.backup)) as plan:
            return _Download(store, layout, request, plan).run(workers, progress)


@dataclass(frozen=True, slots=True)
class _Download:
    store: ObjectStore
    layout: Layout
    request: Request
    plan: FetchPlan

    def run(self, workers: int, progress: Progress) -> Report:
        request, plan, destination = self.request, self.plan, self.request.destination
        _select(plan, request)
        files, size, corrupt = plan.totals()
        plan.place([0])
        self._check_space()
        if corrupt:
            progress.warn(f"{corrupt} of these components were corrupt on the node's disk when they were backed up")
        Downloader(self.store, lambda _: destination, workers=workers).fetch(plan, progress, trust_present=False)
        tables = plan.tables()
        try:
            for keyspace, table in tables:
                (destination / keyspace / table).mkdir(parents=True, exist_ok=True)
            for file in _META:
                self._fetch_meta(file)
        except OSError as error:
            raise disk_error(error, destination, "download") from error
        return Report(files, size, len(tables))

    def _fetch_meta(self, file: str) -> None:
        target = self.request.destination / file
        part = target.with_name(f".{target.name}.part")
        try:
            with part.open("wb") as out:

                def sink(piece: bytes) -> None:
                    out.write(piece)

                self.store.fetch(self.layout.meta(self.request.node, self.request.backup, file), sink)
            part.rename(target)
        finally:
            part.unlink(missing_ok=True)

    def _check_space(self) -> None:
        destination = self.request.destination
        there = sum(path.stat().st_size for path in destination.rglob("*") if path.is_file())
        size, free = sum(self.plan.sizes_by_disk().values()) - there, shutil.disk_usage(destination).free
        if size > free:
            raise NoSpace(
                f"{size:,} bytes are needed in {destination}, {free:,} are free.",
                hint="Free space there, or choose another destination.",
                operation="download",
                key=str(destination),
            )


def _select(plan: FetchPlan, request: Request) -> None:
    keyspaces = frozenset(request.filters.keyspaces)
    tables = frozenset(_pair(table) for table in request.filters.tables)
    held = frozenset((keyspace, folder.partition("-")[0]) for keyspace, folder in plan.tables())
    missing = sorted(keyspaces - {keyspace for keyspace, _ in held}) + sorted(map(".".join, tables - held))
    plan.keep_only(keyspaces, tables)
    if request.ignore_system:
        others = frozenset(keyspace for keyspace, _ in plan.tables()) - SYSTEM_KEYSPACES
        plan.keep_only(others or frozenset({""}), frozenset())
    if missing or not plan.tables():
        raise NotFound(
            f"The backup {request.backup} of {request.node} does not hold {', '.join(missing) or 'any such table'}.",
            hint="Write names as they are on disk: --keyspace shop, --table shop.orders.",
            operation="download",
            key=request.backup,
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


@contextmanager
def _ours(request: Request, layout: Layout) -> Iterator[None]:
    """Take the directory for this download. It must be empty, or hold what an earlier run of the same has left."""
    destination = request.destination
    if not destination.is_dir():
        raise Refused(
            f"{destination} is not a directory.",
            hint="Make it first: mkdir -p, on a disk with enough space.",
            operation="download",
            key=str(destination),
        )
    filters = request.filters
    asked = [layout.prefix, request.node, request.backup, sorted(filters.keyspaces), sorted(filters.tables)]
    mark = json.dumps([*asked, request.ignore_system]).encode()
    try:
        handle = _open_mark(destination)
        try:
            _check_mark(handle, mark, destination)
            with _clearing(destination):
                yield
        finally:
            os.close(handle)
    except OSError as error:
        raise disk_error(error, destination, "download") from error


@contextmanager
def _clearing(destination: Path) -> Iterator[None]:
    """The mark stays behind beside an unfinished download only."""
    try:
        yield
    finally:
        if not _content(destination) or (destination / grammar.MANIFEST).exists():
            (destination / _MARK).unlink(missing_ok=True)


def _content(destination: Path) -> set[str]:
    """What somebody may care for."""
    return {path.name for path in destination.iterdir()} - {_MARK, _PLAN, _MOUNT}


def _open_mark(destination: Path) -> int:
    if _content(destination) and not (destination / _MARK).exists():
        raise Refused(
            f"{destination} is not empty, and what is in it was not left by this download.",
            hint="Choose an empty directory.",
            operation="download",
            key=str(destination),
        )
    return os.open(destination / _MARK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def _check_mark(handle: int, mark: bytes, destination: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise Refused(
            f"Another download into {destination} is running.",
            hint="Wait until it ends, or choose another directory.",
            operation="download",
        ) from error
    held = os.pread(handle, len(mark) + 1, 0)
    if held not in {b"", mark}:
        raise Refused(
            f"{destination} holds an unfinished download of something else.",
            hint="Choose an empty directory; or finish that one with the options that it was begun with.",
            operation="download",
            key=str(destination),
        )
    os.pwrite(handle, mark, 0)
    os.fsync(handle)
