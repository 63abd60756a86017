"""Everything of a restore that leaves the node as it is: the hold, the checks, the download."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

from backupstore.errors import BackupError, Corrupt, NoSpace, Refused
from shipper.cassandra.port import Member
from shipper.progress import Progress
from shipper.restore import auth, fetching, look, moves, places, plan, refill, remote
from shipper.restore import journal as journals
from shipper.restore.fetching import Fetching
from shipper.restore.journal import Journal
from shipper.restore.plan import Backup, Here
from shipper.restore.port import Witness
from shipper.restore.scope import Scope, check_flags, flags_of
from shipper.restore.seeds import check_seeds
from shipper.restore.steps import Machine
from shipper.restore.tables import TablesPlan
from shipper.site import Site
from shipper.snapshot import Filters
from shipper.transfer.fetch_plan import FetchPlan


@dataclass(frozen=True, slots=True)
class Request:
    """What a node is asked to restore. ``temp_dir``: where the plan of the download lies; None: with the state.

    ``job``: the restore of a whole cluster that this is a part of, ``together`` the names of the nodes that are restored
    in it. ``source``: whose backup, None for this node's own. ``remote``: it is another node's, and this one is to take
    over its tokens, not its host id. ``seeds``: nodes of which one must be up before this one is started. ``filters``:
    which tables; ``keep_auth``: the node's roles stay as they are. ``leave_job``: a restore that is part of a job is gone on
    with alone; whatever fails, nothing is taken back, for the other nodes do not go back.
    """

    backup: str
    in_place: bool = False
    verify: bool = True
    accept_corrupt: bool = False
    ignore_ring_changes: bool = False
    without_hold: bool = False
    temp_dir: Path | None = None
    job: str | None = None
    together: frozenset[str] = field(default_factory=frozenset)
    source: str | None = None
    remote: bool = False
    stop_first: bool = False
    seeds: tuple[str, ...] = ()
    filters: Filters = field(default_factory=Filters)
    keep_auth: bool = False
    leave_job: bool = False

    @property
    def flags(self) -> str:
        """Those that say which part of the node is meant, as typed."""
        return flags_of(self.filters, keep_auth=self.keep_auth)

    def check(self) -> None:
        """Refused where it contradicts itself."""
        check_flags(self.filters, keep_auth=self.keep_auth, remote=self.remote, stop_first=self.stop_first)


def prepare_restore(
    site: Site, machine: Machine, request: Request, progress: Progress, earlier: Journal | None
) -> Journal:
    """Hold, check, fetch; the journal at ``prepared``. ``earlier``: the journal of a run that had only fetched."""
    return _Preparing(site, machine, request, progress).run(earlier)


def plan_restore(site: Site, machine: Machine, request: Request, progress: Progress) -> tuple[str, ...]:
    """What a restore would change on this node, one line each; refused for what it would be refused for. Only reads."""
    preparing = _Preparing(site, machine, request, progress)
    backup = preparing.read_backup()
    with closing(preparing.plan()) as wanted:
        return preparing.look(backup, wanted, None).lines


@dataclass(frozen=True, slots=True)
class _Looked:
    """What was found, and the journal of what is to be done."""

    journal: Journal
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Preparing:
    site: Site
    machine: Machine
    request: Request
    progress: Progress

    @property
    def source(self) -> Site:
        """The bucket as the node sees it whose backup this is."""
        return replace(self.site, name=self.request.source or self.site.name)

    def read_backup(self) -> Backup:
        """What its meta files tell."""
        request = self.request
        request.check()
        self.progress.step(f"checking {request.backup}")
        return look.read_backup(self.source, request.backup, whole=request.filters.is_whole)

    def plan(self) -> FetchPlan:
        """All files of the backup."""
        request = self.request
        return refill.open_plan(self.site, self.source.name, request.backup, request.temp_dir, is_remote=request.remote)

    def run(self, earlier: Journal | None) -> Journal:
        site, request = self.site, self.request
        backup = self.read_backup()
        hold_id = self.machine.new_id()
        look.hold(site, request.backup, hold_id, of=self.source, without=request.without_hold, progress=self.progress)
        with closing(self.plan()) as wanted:
            looked = self.look(backup, wanted, earlier)
            for line in looked.lines:
                self.progress.step(line)
            self._fetch(looked.journal, earlier, wanted)
        return journals.save(site.state, looked.journal.at("prepared"))

    def look(self, backup: Backup, wanted: FetchPlan, earlier: Journal | None) -> _Looked:
        """All checks. ``wanted`` is cut down to what is to be fetched. Nothing is written."""
        site, request, machine = self.site, self.request, self.machine
        # Of a job, the operator has said for each node whose backup it gets.
        here = look.look_here(site, in_place=request.in_place or request.job is not None)
        witness = machine.peers.witness()
        self._check_node(backup, here, witness)
        own = places.choose(machine.directories)
        places.check(own, machine.directories.mounts)
        backup = replace(backup, tables=fetching.tables_by_id(wanted))
        caches, others = machine.directories.caches, self._others(backup, here, witness)
        sides = (site, machine.service, backup, here, witness)
        narrowed = Scope(request.filters, request.keep_auth, *sides, caches, len(others)).narrow(own, wanted)
        self._check_content(backup, wanted, here, witness, narrowed.part)
        files, size, _ = wanted.totals()
        journal = Journal(
            phase="fetching",
            backup=request.backup,
            node=self.source.name,
            bucket=site.bucket,
            host_id=None if request.remote else backup.host_id,
            places=narrowed.places,
            was_up=here.is_up or (earlier is not None and earlier.was_up),
            boot_id=site.clock.boot_id(),
            # What peers hold back is missing in the other tables afterwards.
            quiet_peers=() if narrowed.part else tuple(member.address for member in others),
            files=files,
            size=size,
            job=request.job,
            verify=request.verify,
            seeds=request.seeds,
            stop_first=request.stop_first,
            temp_dir=request.temp_dir,
            tokens=tuple(sorted(backup.tokens)) if request.remote else (),
            flags=request.flags,
            part=narrowed.part,
        )
        return _Looked(journal, narrowed.lines)

    def _check_node(self, backup: Backup, here: Here, witness: Witness | None) -> None:
        request = self.request
        missing = self.machine.service.missing_commands()
        if missing:
            raise Refused(
                f"Cassandra could not be stopped and started here: {', '.join(missing)} is not on this machine.",
                hint="Set stop_cmd and start_cmd in the [cassandra] section of medusa.ini.",
                operation="restore",
            )
        if request.remote:
            remote.check_node(backup, here, witness, in_place=request.in_place, alone=request.job is None)
            remote.check_yaml(self.machine.yaml, tuple(sorted(backup.tokens)))
            if request.keep_auth and witness is not None:  # a node that is down cannot keep them either
                auth.check_everywhere(witness.export, witness.members)
        else:
            plan.check_same_node(backup, here)
            for address in plan.twins(backup, here, witness):
                if self.machine.peers.is_up(address):
                    raise plan.twin_is_up(backup, address)
        check_seeds(request.seeds, self.site.name, here)
        self._warn(plan.check_version(backup, here.live))

    def _check_content(
        self, backup: Backup, wanted: FetchPlan, here: Here, witness: Witness | None, part: TablesPlan | None
    ) -> None:
        request, site = self.request, self.site
        fetching.check_sound(wanted, request.backup, accept_corrupt=request.accept_corrupt, whole=part is None)
        if part is not None:
            alone = request.ignore_ring_changes or request.job is not None
            plan.check_part(part.changed, witness, alone=alone)
            self._warn(plan.gc_grace_warning(backup, site.clock.now(), frozenset(move.name for move in part.moves)))
            return
        if self._others(backup, here, witness) or request.job is None:
            known = replace(backup, host_id=None, tokens=frozenset()) if request.remote else backup
            self._warn(*plan.check_ring(known, witness, alone=request.ignore_ring_changes))
        if request.remote:
            self._warn(remote.datacenter_warning(backup, here.live))
        self._warn(plan.gc_grace_warning(backup, site.clock.now()))
        self._warn(plan.newer_tables_warning(fetching.newer_tables(wanted, site.cassandra, witness)))

    def _fetch(self, journal: Journal, earlier: Journal | None, wanted: FetchPlan) -> None:
        if earlier is not None:
            # The directories of the node may have changed since.
            moves.drop_new(place for place in earlier.places if place not in journal.places)
        journals.save(self.site.state, journal)
        try:
            moves.prepare(journal.places)
            local = self.machine.directories.local_disk
            fetch = Fetching(self.site, wanted, journal.places, local, journal.stop_first)
            if journal.stop_first:
                refill.check_first(fetch, self.source.name, journal.backup)
            else:
                same_boot = earlier is not None and earlier.boot_id == journal.boot_id
                fetch.fetch(self.progress, workers=self.machine.workers, same_boot=same_boot)
        except (Corrupt, NoSpace):
            # It will not be better next time, and a node that runs needs its space.
            moves.drop_new(journal.places)
            journals.close(self.site.state, journal)
            raise
        except BackupError as error:
            if not journal.job:
                error.hint += (
                    " The node is as it was. What was fetched is kept: run the same command again to go on, or drop it"
                    " with restore-node --undo."
                )
            raise

    def _others(self, backup: Backup, here: Here, witness: Witness | None) -> tuple[Member, ...]:
        """Who in the ring is neither this node nor restored together with it."""
        own = {backup.host_id, here.live.host_id if here.live else here.remembered_host_id}
        selves = plan.twins(backup, here, witness)
        members = witness.members if witness else ()
        together = self.request.together
        return tuple(m for m in members if m.host_id not in own and m.address not in selves and m.name not in together)

    def _warn(self, *warnings: str | None) -> None:
        for warning in warnings:
            if warning:
                self.progress.warn(warning)
