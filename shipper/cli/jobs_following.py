"""Following a job: a table that is drawn anew on a terminal, a line for each change elsewhere.

Nothing depends on who follows: the job goes on without, and may be followed from any machine that sees the bucket.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from backupstore.core.job_documents import Job, Request
from backupstore.errors import BackupError, Retryable
from backupstore.operations.job_store import read_job
from shipper.cli import jobs_text
from shipper.cli.console import out
from shipper.cli.logs import log, resumable
from shipper.cli.options import Globals

if TYPE_CHECKING:
    from rich.console import Console as Terminal
    from rich.console import RenderableType
    from rich.live import Live

_EVERY = 2.0
_LINE_EVERY = 30.0
_LEAST_ROWS = 3


class View(Protocol):
    """Where people see the job."""

    def show(self, job: Job | None, now: float) -> None:
        """What it looks like now."""
        ...


def follow_to_end(chosen: Globals, request: Request, *, wanted_back: bool = False) -> None:
    """Show the job until it is over, and tell how it ended. BackupError when it did not end as it was meant to."""
    log.info("job %s; Ctrl-C leaves it to itself, 'restore-status %s --follow' comes back", request.job, request.job)
    with resumable(_way_back(request)), _view(chosen, request) as view:
        job = _until_over(chosen, request, view)
    tell_end(request, job, wanted_back=wanted_back)


def tell_end(request: Request, job: Job, *, wanted_back: bool = False) -> None:
    """How a job that is over has ended. BackupError when it did not end as it was meant to."""
    at = job.finished if job.finished is not None else job.since
    line = jobs_text.headline(request, job, at)
    if jobs_text.is_good(request, job, wanted_back=wanted_back):
        for each in (line, *jobs_text.outcomes(job)):
            out(each)
        return
    bad = [row for row in jobs_text.rows(request, job) if row.state in {"failed", "refused"}]
    for row in bad:
        log.error("%s: %s: %s", row.node, row.verb, row.said)
    why = f": {job.why.rstrip('.')}" if job.why else ""
    raise BackupError(f"{line}{why}.", hint=_next_step(request, job), operation="job", key=request.job)


def _way_back(request: Request) -> str:
    back = f", 'restore-rollback {request.job}' takes it back" if request.kind == "restore" else ""
    return f"The job goes on by itself. 'restore-status {request.job} --follow' comes back to it{back}."


def _next_step(request: Request, job: Job) -> str:
    if request.kind == "backup":
        return f"Run 'backup --backup-name {request.backup}' on the nodes that failed, or backup-cluster with that name again."
    if job.given_up and request.method == "sstableloader":
        return (
            "Look whether the nodes that were given up had loaded their part; what is said above loads what is missing."
        )
    if job.given_up:
        state = "has the old data" if job.phase == "rolled-back" else "is restored"
        return f"Every other node {state} and is up. Keep Cassandra down on those that were given up until that is done there."
    if job.phase == "rolled-back":
        return "Every node has its old data, and is up unless it was down before. Mend what is named above, and run restore-cluster again."
    return "Mend what is named above, and run restore-cluster again."


def _until_over(chosen: Globals, request: Request, view: View) -> Job:
    while True:
        try:
            found = read_job(chosen.store, chosen.layout, request.job)
        except Retryable as error:
            log.warning("the bucket does not answer: %s", error.message)
        else:
            job = found.job if found else None
            view.show(job, chosen.clock.now())
            if job is not None and job.is_over:
                return job
        chosen.clock.sleep(_EVERY)


@contextmanager
def _view(chosen: Globals, request: Request) -> Iterator[View]:
    if chosen.settings.shipper.log_format == "json" or not sys.stderr.isatty():
        yield Lines(request)
        return
    from rich.console import Console as Terminal
    from rich.live import Live

    terminal = Terminal(stderr=True)
    if terminal.is_dumb_terminal:
        yield Lines(request)
        return
    with Live(console=terminal, auto_refresh=False, redirect_stdout=False) as live:
        yield Screen(request, terminal, live)


class Lines:
    """A line for each change, and one now and then for how far the nodes are."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._before: Job | None = None
        self._told = 0.0
        self._silent = False

    def show(self, job: Job | None, now: float) -> None:
        """Tell what is new."""
        for line in jobs_text.changes(self._before, job):
            log.info(line)
        if job is not None and (self._before is None or self._before.waiting != job.waiting):
            for line in jobs_text.waits(job):
                log.warning(line)
        silence = jobs_text.silence_of(self._request, job, now)
        if silence and not self._silent:
            log.warning(silence)
        self._silent, self._before = bool(silence), job
        progress = jobs_text.progress_of(job) if job and not job.is_over else ""
        if progress and now - self._told >= _LINE_EVERY:
            self._told = now
            log.info("%s: %s", job.phase if job else "", progress)


class Screen:
    """A table in place."""

    def __init__(self, request: Request, terminal: Terminal, live: Live) -> None:
        self._request = request
        self._terminal = terminal
        self._live = live

    def show(self, job: Job | None, now: float) -> None:
        """Draw it anew."""
        self._live.update(self._drawn(job, now), refresh=True)

    def _drawn(self, job: Job | None, now: float) -> RenderableType:
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        head = Text(jobs_text.headline(self._request, job, now), style="bold")
        remarks = [Text(line, style="yellow") for line in jobs_text.remarks(self._request, job, now)]
        found = jobs_text.rows(self._request, job)
        # A table that is higher than the screen would be cut at its end; who needs a person stands first.
        room = self._terminal.height - 5 - sum(1 + len(text.plain) // self._terminal.width for text in (head, *remarks))
        fits = found if len(found) <= room else found[: max(_LEAST_ROWS, room - 1)]
        table = Table(box=None, pad_edge=False, header_style="dim")
        for name in ("Node", "Restores", "Told", "State", "Progress", "Says"):
            # On a narrow screen it is what they say that is cut first: who they are, and what they were told, is shorter.
            table.add_column(name, no_wrap=name != "Says", overflow="ellipsis")
        for row in fits:
            cells = (row.node, row.sources, row.verb, row.state, row.progress)
            said = Text(row.said, no_wrap=True, overflow="ellipsis")
            table.add_row(*map(Text, cells), said, style=_STYLES.get(row.state, ""))
        more = [Text(f"and {len(found) - len(fits)} more", style="dim")] if len(found) > len(fits) else []
        return Group(head, *remarks, Text(), table, *more)


_STYLES = {"failed": "red", "refused": "red", "doing": "cyan", "done": "green"}
