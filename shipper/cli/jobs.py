"""The commands that come back to a job: restore-status, restore-resume, restore-rollback."""

from __future__ import annotations

from dataclasses import dataclass

from backupstore.chance import random_text
from backupstore.core.documents import encode
from backupstore.core.job_documents import Job, Request, Wish, WishKind
from backupstore.core.job_giving_up import why_not
from backupstore.core.job_ids import in_order, is_job_id
from backupstore.core.layout import Layout
from backupstore.core.shown import some_of
from backupstore.errors import Corrupt, NotFound, Refused
from backupstore.operations.job_store import read_job, read_request
from backupstore.ports import ObjectStore
from backupstore.wiring import check_bucket
from shipper.cli import jobs_text
from shipper.cli.asking import demand_name
from shipper.cli.cluster_plan_text import table
from shipper.cli.console import out, out_json
from shipper.cli.jobs_following import follow_to_end, tell_end
from shipper.cli.logs import log
from shipper.cli.operator import operator
from shipper.cli.options import Globals
from shipper.cli.text import local_time


@dataclass(frozen=True, slots=True)
class _Listed:
    """A job as it is listed. ``unreadable``: why what lies there makes no sense; empty when it does."""

    name: str
    request: Request | None
    job: Job | None
    unreadable: str = ""

    @property
    def line(self) -> tuple[str, ...]:
        """A row of the table."""
        request, job = self.request, self.job
        asked = (
            (request.backup, local_time(request.created), request.by, str(len(request.assignments)))
            if request
            else ("?",) * 4
        )
        if self.unreadable:
            return self.name, *asked, "cannot be read"
        stands = job.phase if job else "not taken up"
        waits = "; ".join(f"{one.node} {one.why}".strip() for one in job.waiting) if job else ""
        return self.name, *asked, f"{stands}, waits: {waits}" if waits else stands

    @property
    def as_json(self) -> dict[str, object]:
        """With ``unreadable`` only where it is."""
        found: dict[str, object] = {
            "request": self.request.model_dump(mode="json") if self.request else None,
            "job": self.job.model_dump(mode="json") if self.job else None,
        }
        return {**found, "name": self.name, "unreadable": self.unreadable} if self.unreadable else found


def run_jobs(chosen: Globals, *, output: str) -> None:
    """``restore-status``: all jobs, the newest last."""
    check_bucket(chosen.store)
    jobs = [_listed(chosen, name) for name in _job_names(chosen.store, chosen.layout)]
    found = [each for each in jobs if each.request is not None or each.unreadable]
    if output == "json":
        out_json([each.as_json for each in found])
        return
    if not found:
        log.info("there are no jobs yet")
        return
    heads = ("Job", "Backup", "Asked for", "By", "Nodes", "Stands")
    for line in table([heads, *(each.line for each in found)]):
        out(line)


def run_status(chosen: Globals, name: str, *, follow: bool, output: str) -> None:
    """``restore-status JOB``."""
    request = _request(chosen, name)
    if follow:
        follow_to_end(chosen, request)
        return
    job = _job(chosen, name)
    if output == "json":
        out_json(_Listed(name, request, job).as_json)
    else:
        _tell_status(request, job, chosen.clock.now())
    if job is not None and job.is_over and not jobs_text.is_good(request, job, wanted_back=False):
        tell_end(request, job)


def _tell_status(request: Request, job: Job | None, now: float) -> None:
    out(jobs_text.headline(request, job, now))
    for line in jobs_text.remarks(request, job, now):
        out(line)
    cells = [
        (row.node, row.sources, row.verb, row.state, row.progress, row.said) for row in jobs_text.rows(request, job)
    ]
    for line in table([("Node", "Restores", "Told", "State", "Progress", "Says"), *cells]):
        out(line)


def run_wish(chosen: Globals, name: str, wish: WishKind, without: tuple[str, ...] = ()) -> None:
    """``restore-resume`` and ``restore-rollback``: put the wish down, and follow what comes of it.

    ``without``: nodes to be given up, once an operator has typed their names.
    """
    request = _request(chosen, name)
    job = _job(chosen, name)
    nodes = tuple(sorted(set(without)))
    _check_sensible(request, job, wish, nodes)
    if nodes:
        demand_name(
            jobs_text.giving_up(nodes),
            " ".join(nodes),
            said=False,
            operation=f"restore-{wish}",
            called="the names of these nodes" if len(nodes) > 1 else "the name of the node",
            to="give up for good",
            nobody="Run it on a terminal: it is asked for each time.",
        )
    now = chosen.clock.now()
    made = Wish(job=name, id=random_text()[:12], wish=wish, by=operator(), created=now, without=nodes)
    chosen.store.create(chosen.layout.job_wish(name, made.id), encode(made))
    follow_to_end(chosen, request, wanted_back=wish == "rollback")


def _check_sensible(request: Request, job: Job | None, wish: WishKind, without: tuple[str, ...]) -> None:
    """Refused where the answer is known; everything else is the coordinator's to decide, and it says why."""
    why = ""
    if job is not None and job.is_over:
        why = f"It is over: {job.phase}, {jobs_text.PHASES[job.phase]}."
    elif wish == "rollback" and request.kind == "backup":
        why = "It is a backup: there is nothing to take back."
    elif wish == "rollback" and job is not None and job.decision == "commit":
        why = "It is decided that the restore stays; the old data is being dropped."
    elif without:
        waited_for = {wait.node for wait in job.waiting} if job else set[str]()
        refused = why_not(job, request, wish, without, waited_for) if job else "it had not begun"
        why = f"Because {refused}." if refused else ""
    if why:
        what = "go back" if wish == "rollback" else "go on"
        raise Refused(
            f"{request.job} cannot be asked to {what}{f' without {some_of(sorted(without))}' if without else ''}. {why}",
            hint=f"restore-status {request.job} shows where it stands.",
            operation=f"restore-{wish}",
            key=request.job,
        )


def _job_names(store: ObjectStore, layout: Layout) -> list[str]:
    """All jobs that were ever asked for, the newest last."""
    folder = layout.all_job_requests()
    return in_order(child[len(folder) : -1] for child in store.entries(folder).folders)


def _listed(chosen: Globals, name: str) -> _Listed:
    """A job of which something cannot be read is there all the same."""
    request = None
    try:
        request = read_request(chosen.store, chosen.layout, name)
        return _Listed(name, request, _job(chosen, name))
    except Corrupt as error:
        log.warning(error.message)
        return _Listed(name, request, None, error.message)


def _request(chosen: Globals, name: str) -> Request:
    check_bucket(chosen.store)
    request = read_request(chosen.store, chosen.layout, name) if is_job_id(name) else None
    if request is None:
        raise NotFound(
            f"There is no job {name}.", hint="restore-status lists the jobs there are.", operation="job", key=name
        )
    return request


def _job(chosen: Globals, name: str) -> Job | None:
    stored = read_job(chosen.store, chosen.layout, name)
    return stored.job if stored else None
