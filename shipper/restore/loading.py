"""Loading node backups into a running cluster by sstableloader, whatever its topology: Cassandra is not stopped.

One source after another: its files are fetched into a work folder, every byte checked, sent table by table to whoever
owns the rows now, and removed, so that there has to be space for the largest source only. What was loaded is remembered;
a killed run goes on with the table that it was at. Loading a table twice does no harm: its rows carry their times.

Loaded are users' tables. Views are not: the server writes them when their table's rows arrive. Neither are the files of
indexes, which it builds anew, nor Cassandra's own keyspaces, which say who a node is. The roles (``system_auth``) are
loaded when that is asked for; they join those that are there, and of two versions of one the later one counts.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from backupstore.core import layout as grammar
from backupstore.core.schema_statements import SchemaText, read_schema
from backupstore.core.sizes import human_size
from backupstore.errors import NoSpace, Refused
from shipper.cassandra.port import Schema
from shipper.cassandra.sstableloader import LoaderAccess, SstableLoader
from shipper.meta import body_of
from shipper.progress import Progress
from shipper.restore import look, plan
from shipper.restore.fetching import check_sound
from shipper.restore.load_memory import Memory
from shipper.restore.loadable import ROLES, check_filters, check_fit, loadable, misfits
from shipper.restore.schema_apply import read_backup_schema
from shipper.site import Site
from shipper.snapshot import Filters
from shipper.state import disk_error
from shipper.transfer.download import Downloader
from shipper.transfer.fetch_plan import FetchPlan, read_plan

FOLDER = ".medusa-shipper-load"
_MARGIN = 64 << 20


@dataclass(frozen=True, slots=True)
class LoadRequest:
    """Which node backups of one name are loaded. ``job``: what they are a part of, which may ask more than once.

    ``temp_dir``: where they are fetched to; None: beside the first data directory.
    """

    job: str | None
    backup: str
    sources: tuple[str, ...]
    filters: Filters = field(default_factory=Filters)
    overwrite_auth: bool = False
    accept_corrupt: bool = False
    without_hold: bool = False
    temp_dir: Path | None = None


@dataclass(frozen=True, slots=True)
class Loaded:
    """What was sent: tables counted once for each source. What an earlier run of the same had sent is not counted."""

    sources: int
    tables: int
    size: int


@dataclass(frozen=True, slots=True)
class Loading:
    """What loading works with. ``live``: asks the node for its schema; ``new_id``: for the hold."""

    site: Site
    access: LoaderAccess
    live: Callable[[], Schema]
    new_id: Callable[[], str]
    workers: int
    progress: Progress

    def load(self, request: LoadRequest) -> Loaded:
        """Load them all; the caller holds the node's lock.

        NotFound, Refused, Corrupt, NoSpace before anything is sent; NodeTrouble when sending fails.
        """
        memory = _memory(self.site, request)
        left = [source for source in request.sources if source not in memory.sources]
        run = _Run(self, request, memory, _work_folder(self.site, request))
        try:
            run.check(left)
            done = [run.load_source(source) for source in left]
        except OSError as error:
            raise disk_error(error, run.folder, "load") from error
        memory.close()
        run.leave()
        return Loaded(len(left), sum(tables for tables, _ in done), sum(size for _, size in done))

    def prepare(self, request: LoadRequest) -> int:
        """Before any table is made for it: whether all of it is there, is sound, and has room; the backups are held. Bytes.

        NotFound, Refused, Corrupt, NoSpace; Misconfigured without sstableloader.
        """
        self.access.check()
        run = _Run(self, request, _memory(self.site, request), _work_folder(self.site, request))
        try:
            return run.prepare()
        except OSError as error:
            raise disk_error(error, run.folder, "load") from error

    def sizes(self, request: LoadRequest) -> dict[str, int]:
        """Node backups → bytes that would be loaded of each; refused for what ``load`` would be refused for. Only reads."""
        self.site.state.prepare()
        run = _Run(self, request, _memory(self.site, request), _work_folder(self.site, request))
        return run.look(request.sources)


@dataclass(frozen=True, slots=True)
class _Run:
    loading: Loading
    request: LoadRequest
    memory: Memory
    folder: Path

    def check(self, sources: Sequence[str]) -> None:
        """Everything that can be known before the first byte is fetched, of all sources at once."""
        self._check_whole(sources)
        self._hold(sources)
        self._check_room(self._sizes(sources))

    def prepare(self) -> int:
        """The same before there are tables to load into; those of the roles are not made for it."""
        sources = self.request.sources
        self._check_whole(sources)
        self._hold(sources)
        sizes = self._sizes(sources, only=ROLES)
        try:
            self._check_room(sizes)
        finally:
            with suppress(OSError):  # what a killed run has fetched may be of use to it yet
                self.folder.rmdir()
        return sum(sizes.values())

    def look(self, sources: Sequence[str]) -> dict[str, int]:
        """Bytes of each source, on disk. Refused when it cannot be loaded. Nothing is written."""
        self._check_whole(sources)
        return self._sizes(sources)

    def _check_whole(self, sources: Sequence[str]) -> None:
        """Each of them is there, and Cassandra here can read it. A schema that is newer is not made to its end either."""
        site = self.loading.site
        backups = [look.read_backup(replace(site, name=each), self.request.backup, whole=False) for each in sources]
        live = site.cassandra.identity() if backups else None
        for warning in dict.fromkeys(plan.check_version(backup, live) for backup in backups):
            if warning:
                self.loading.progress.warn(warning)

    def _hold(self, sources: Sequence[str]) -> None:
        site, request, loading = self.loading.site, self.request, self.loading
        for source in sources:
            of, hold_id = replace(site, name=source), loading.new_id()
            look.hold(site, request.backup, hold_id, of=of, without=request.without_hold, progress=loading.progress)

    def _live(self) -> SchemaText:
        found = self.loading.live()
        live = read_schema(found.described)
        return live.joined(read_schema(found.export).only({ROLES})) if self.request.overwrite_auth else live

    def _sizes(self, sources: Sequence[str], only: str | None = None) -> dict[str, int]:
        """``only``: the keyspace whose tables have to be there already to take the rows; None for all."""
        site, request, live = self.loading.site, self.request, self._live()
        schemas = {source: _schema_of(site, source, request) for source in sources}
        if sources:
            check_filters(request.filters, schemas.values())
        sizes, problems = dict[str, int](), list[str]()
        for source in sources:
            with closing(self._plan(source, schemas[source])) as wanted:
                sizes[source] = wanted.sizes_by_disk().get(0, 0)
                there = (name for name in wanted.tables() if only in {None, name[0]})
                problems += misfits(there, schemas[source], live)
        check_fit(problems)
        return sizes

    def _check_room(self, sizes: Mapping[str, int]) -> None:
        self._prepare_folder()
        self._check_space(sizes)

    def _prepare_folder(self) -> None:
        self.folder.mkdir(mode=0o700, exist_ok=True)
        status = self.folder.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
            raise Refused(
                f"{self.folder} belongs to somebody else, or is no directory.",
                hint=f"Remove it{self._or_elsewhere}.",
                operation="load",
                key=str(self.folder),
            )

    def _plan(self, source: str, schema: SchemaText) -> FetchPlan:
        """What is to be loaded of one source."""
        site, request = self.loading.site, self.request
        path = (request.temp_dir or site.state.path) / "load.sqlite"
        with ExitStack() as failed:
            wanted = failed.enter_context(closing(read_plan(path, site.store, site.layout, source, request.backup)))
            chosen = loadable(wanted.tables(), schema, request.filters, overwrite_auth=request.overwrite_auth)
            wanted.take_only({(keyspace, folder): folder for keyspace, folder in chosen})
            for keyspace, folder in chosen:
                for hidden in filter(None, wanted.contents(keyspace, folder)):
                    wanted.leave_out_index(keyspace, folder, hidden)
            check_sound(wanted, request.backup, accept_corrupt=request.accept_corrupt, whole=False)
            wanted.place([0])
            failed.pop_all()
        return wanted

    def _check_space(self, sizes: Mapping[str, int]) -> None:
        """Only one source lies here at a time. What an earlier run has fetched counts as free."""
        if not sizes:
            return
        largest = max(sizes, key=lambda source: sizes[source])
        present = sum(path.stat().st_blocks * 512 for path in self.folder.rglob("*") if path.is_file())
        missing = sizes[largest] + _MARGIN - present - shutil.disk_usage(self.folder).free
        if missing > 0:
            raise NoSpace(
                f"{missing:,} bytes are missing on the file system of {self.folder}: the backup of {largest},"
                f" {human_size(sizes[largest])}, is the largest that has to lie there.",
                hint=f"Free space there{self._or_elsewhere}.",
                operation="load",
                key=str(self.folder),
            )

    @property
    def _or_elsewhere(self) -> str:
        """A job goes where the node is set up to."""
        return ", or choose another directory with --temp-dir" if self.request.job is None else ""

    def load_source(self, source: str) -> tuple[int, int]:
        """Fetch, send and remove one source. Tables and bytes that were sent."""
        progress, place = self.loading.progress, self.folder / "source"
        sent, amount = 0, 0
        with closing(self._plan(source, _schema_of(self.loading.site, source, self.request))) as wanted:
            self._clear_others(place, source)
            root = place / source
            progress.step(f"fetching {self.request.backup} of {source}")
            Downloader(self.loading.site.store, lambda _: root, workers=self.loading.workers).fetch(
                wanted, progress, trust_present=False
            )
            loader = SstableLoader(self.loading.access, self.folder)
            for keyspace, folder in wanted.tables():
                name = folder.partition("-")[0]
                size = sum(size for _, size in wanted.contents(keyspace, folder).values())
                if not size or (keyspace, folder) in self.memory.tables(source):
                    continue
                progress.step(f"loading {keyspace}.{name} of {source}, {human_size(size)}")
                loader.load(root / keyspace / folder, size)
                self.memory.add_table(source, keyspace, folder)
                sent, amount = sent + 1, amount + size
        self.memory.add_source(source)
        shutil.rmtree(place)
        return sent, amount

    def leave(self) -> None:
        """Nothing stays behind in the work folder."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _clear_others(self, place: Path, source: str) -> None:
        """What a killed run has left of another source, or of another backup."""
        mark = f"{self.loading.site.bucket}\n{self.request.backup}\n{source}"
        note = place / "of"
        if place.exists() and (not note.is_file() or note.read_text("utf-8") != mark):
            shutil.rmtree(place)
        (place / source).mkdir(parents=True, mode=0o700, exist_ok=True)
        note.write_text(mark, "utf-8")


def _memory(site: Site, request: LoadRequest) -> Memory:
    of = (request.job, site.bucket, request.backup, *request.filters.keyspaces, *request.filters.tables)
    return Memory(site.state, request.job, of)


def _work_folder(site: Site, request: LoadRequest) -> Path:
    return (request.temp_dir or site.cassandra.data_directories[0].resolve().parent) / FOLDER


def _schema_of(site: Site, source: str, request: LoadRequest) -> SchemaText:
    """What a node backup says of its tables; of those of the roles only the driver's text tells."""
    found = read_backup_schema(site, source, request.backup)
    body = (
        body_of(site.store, site.layout.meta(source, request.backup, grammar.SCHEMA))
        if request.overwrite_auth
        else None
    )
    return found if body is None else found.joined(read_schema(body.decode("utf-8", "replace")).only({ROLES}))
