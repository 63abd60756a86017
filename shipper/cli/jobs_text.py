"""Where a job stands, as text: a headline, a row for each node, and what has changed since. Values in, lines out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from backupstore.core.job_commands import is_open
from backupstore.core.job_documents import Job, NodeJob, Phase, Request
from backupstore.core.job_giving_up import left_behind
from backupstore.core.job_phases import course_of
from backupstore.core.shown import counted, one_line, some_of
from backupstore.core.sizes import human_size

TAKEN_UP = 60.0
"""Seconds within which a coordinator should have taken a job up, and an agent a command."""
_MINUTE = 60.0
_HOUR = 3600.0
_SAID = 200
_TOLD = 12

PHASES: dict[Phase, str] = {
    "queued": "waits for its turn",
    "preparing": "each node fetches and checks its files; all are up as before",
    "stopping": "all nodes stop, and move their old data aside",
    "placing": "each node puts the new files in place",
    "starting-seeds": "the seeds start",
    "starting": "the other nodes start",
    "checking": "each node looks whether it is healthy",
    "committing": "it is decided: each node drops its old data",
    "rolling-back": "each node puts its old data back",
    "restarting-seeds": "the seeds start, with their old data",
    "restarting": "the other nodes start, with their old data",
    "schema": "one node makes keyspaces and tables",
    "loading": "each node loads the backups that it was given",
    "indexing": "one node makes the storage attached indexes, which had to wait for the rows",
    "backing-up": "each node backs itself up",
    "committed": "the cluster is restored",
    "rolled-back": "everything is as it was before",
    "done": "every node is backed up",
    "ended-with-failures": "some nodes failed",
    "refused": "nothing was done",
}
_GOOD: frozenset[Phase] = frozenset({"committed", "done"})
_RANKS = ("refused", "failed", "doing", "asked", "", "done")


@dataclass(frozen=True, slots=True)
class Row:
    """One node: what it was told last, what came of it, how far it is, and what it says about it."""

    node: str
    sources: str
    verb: str
    state: str
    progress: str
    said: str


def headline(request: Request, job: Job | None, now: float) -> str:
    """What the job is, and where it stands."""
    what = "Restore of" if request.kind == "restore" else "Backup"
    title = f"{what} {request.backup} on {counted(len(request.assignments), 'node')} ({request.job})"
    if job is None:
        return f"{title}: nobody has taken it up yet, {duration(now - request.created)}"
    since = job.finished if job.finished is not None else now
    lasted = f"after {duration(since - request.created)}" if job.is_over else duration(since - job.since)
    without = f", WITHOUT {some_of(sorted(job.without))}" if job.given_up else ""
    return f"{title}: {job.phase}, {lasted}: {PHASES[job.phase]}{without}"


def remarks(request: Request, job: Job | None, now: float) -> list[str]:
    """What an operator has to know, or to do."""
    found = [silence] if (silence := silence_of(request, job, now)) else []
    if job is None:
        return found
    if job.why:
        found.append(f"Because {one_line(job.why)}" if not job.is_over else one_line(job.why))
    if not job.is_over:
        found += [f"WITHOUT {one_line(line)}" for line in left_behind(job, request)]
    found += waits(job)
    return found


def waits(job: Job) -> list[str]:
    """For what it waits, and what an operator can do about it; nothing while it goes on by itself."""
    found = []
    for wait in job.waiting:
        node = f"{wait.node}: " if wait.node else ""
        found.append(f"WAITS: {node}{one_line(wait.why)}" + (f" → {one_line(wait.hint)}" if wait.hint else ""))
    if found and not job.is_over and job.phase != "queued":
        back = f", 'restore-rollback {job.job}' takes everything back" if may_roll_back(job) else ""
        found.append(f"'restore-resume {job.job}' asks again{back}.")
        if job.kind == "restore":
            how = "rollback" if may_roll_back(job) else "resume"
            found.append(f"A node that is gone for good is given up with 'restore-{how} {job.job} --without NODE'.")
    return found


def giving_up(nodes: Sequence[str]) -> str:
    """What it means, for whoever is about to do it."""
    return (
        f"The job goes on without {some_of(sorted(nodes))}, for ever. Be sure that neither Cassandra nor the agent runs there any more:"
        " it may hold other data than the nodes that go on. restore-status says afterwards what has to be done there"
        " before it is started again."
    )


def may_roll_back(job: Job) -> bool:
    """Whether it makes sense to ask for it."""
    return job.kind == "restore" and job.decision is None and not job.is_over


def silence_of(request: Request, job: Job | None, now: float) -> str:
    """Who should have been heard of, and what to do about it: whoever coordinates the job, or a node. Empty when nobody is late."""
    start = "start 'medusa-shipper serve' with signing_key_file on one machine that sees the bucket, or the coordinator function"
    if job is None:
        waited = now - request.created
        return f"Nobody has taken this job up for {duration(waited)}: {start}." if waited > TAKEN_UP else ""
    heard = max((job.since, *(max(part.issued, part.heard) for part in job.nodes.values())))
    quiet = now - heard
    if job.is_over or job.waiting:
        return ""
    if quiet < request.patience + TAKEN_UP:
        return _unanswered(request, job, now)
    return f"Nothing was heard of this job for {duration(quiet)}: if its coordinator is gone, {start}."


def _unanswered(request: Request, job: Job, now: float) -> str:
    """The nodes that have not even begun; the job itself waits for longer before it says that it does."""
    stage = course_of(request).get(job.phase)
    if stage is None:
        return ""
    parts = {node: job.nodes.get(node, NodeJob()) for node in stage.who(job, request)}
    late = {
        node: now - part.issued
        for node, part in parts.items()
        if part.verb == stage.verb and is_open(part) and not part.heard and now - part.issued > TAKEN_UP
    }
    if not late:
        return ""
    longest = max(late.values())
    then = "the job waits for an operator" if request.kind == "restore" else "that counts as a failure"
    return (
        f"No answer to '{stage.verb}' for {duration(longest)} from {some_of(sorted(late))}: look whether the agent runs there."
        f" Without one, {then} in {duration(request.patience - longest)}."
    )


def rows(request: Request, job: Job | None) -> list[Row]:
    """A row for each node: what needs a person first, then who is at work, then the rest by name."""
    parts = job.nodes if job else {}
    found = [
        _row(each.target, ", ".join(each.sources), parts.get(each.target, NodeJob())) for each in request.assignments
    ]
    return sorted(found, key=lambda row: (_RANKS.index(row.state), row.node))


def changes(before: Job | None, job: Job | None) -> Iterator[str]:
    """What to tell of one look at the job and the next where there is no table, a line each."""
    if job is None:
        return
    yield from _heard(before, job)
    if before is None or before.phase != job.phase:
        is_new = bool(job.why) and (before is None or before.why != job.why)
        yield f"{job.phase}: {PHASES[job.phase]}" + (f" ({one_line(job.why)})" if is_new else "")
    known = {wish.id for wish in before.wishes} if before else set()
    for wish in job.wishes:
        if wish.id not in known:
            yield f"{wish.wish}, asked for by {one_line(wish.by)}: {one_line(wish.came)}"


def outcomes(job: Job) -> list[str]:
    """What nodes say of a job that ended well, those that say the same in one line."""
    alike: dict[str, list[str]] = {}
    for node, part in sorted(job.nodes.items()):
        if part.why:
            alike.setdefault(one_line(part.why), []).append(node)
    lines = [f"{some_of(sorted(nodes))}: {why}" for why, nodes in alike.items()]
    more = [f"and {len(lines) - _TOLD} more: restore-status {job.job}"] if len(lines) > _TOLD else []
    return lines[:_TOLD] + more


def _heard(before: Job | None, job: Job) -> Iterator[str]:
    """Nodes whose command is done, failed or refused since, those that say the same in one line."""
    alike: dict[tuple[str, str], list[str]] = {}
    for node, part in sorted(job.nodes.items()):
        old = before.nodes.get(node) if before else None
        if part.outcome in {None, "doing"} or (old and (old.number, old.epoch, old.outcome) == _key(part)):
            continue
        why = f": {one_line(part.why, _SAID)}" if part.why else ""
        hint = f" → {one_line(part.hint, _SAID)}" if part.hint else ""
        alike.setdefault((f"{part.verb} {part.outcome}", why + hint), []).append(node)
    for (what, why), nodes in alike.items():
        yield f"{some_of(sorted(nodes))}: {what}{why}"


def _key(part: NodeJob) -> tuple[int, int, str | None]:
    return part.number, part.epoch, part.outcome


def progress_of(job: Job) -> str:
    """How much all nodes together have moved; empty where they say nothing of it."""
    done, of = (sum(count(part) for part in job.nodes.values()) for count in (_bytes, _of))
    if not of:
        return ""
    at_work = sum(part.outcome == "doing" for part in job.nodes.values())
    return f"{counted(at_work, 'node')} at work, {human_size(done)} of {human_size(of)} ({100 * done // of}%)"


def _bytes(part: NodeJob) -> int:
    return min(part.bytes, part.of)


def _of(part: NodeJob) -> int:
    return part.of


def is_good(request: Request, job: Job, *, wanted_back: bool) -> bool:
    """Whether the job ended as it was meant to: nobody was meant to be left behind."""
    if job.given_up:
        return False
    return job.phase in _GOOD or (wanted_back and job.phase == "rolled-back" and request.kind == "restore")


def duration(seconds: float) -> str:
    """``42 s``, ``12 min``, ``3 h 05 min``."""
    seconds = max(0.0, seconds)
    if seconds < 2 * _MINUTE:
        return f"{seconds:.0f} s"
    hours, rest = divmod(seconds, _HOUR)
    return f"{hours:.0f} h {rest // _MINUTE:02.0f} min" if hours else f"{rest // _MINUTE:.0f} min"


def _row(node: str, sources: str, part: NodeJob) -> Row:
    state = part.outcome or ("asked" if part.verb else "")
    said = part.why or (part.step if part.outcome == "doing" else "")
    if part.hint and part.outcome in {"failed", "refused"}:
        said = f"{said} → {part.hint}"
    share = f"{100 * _bytes(part) // part.of}% of {human_size(part.of)}" if part.of else ""
    return Row(node, sources, part.verb or "", state, share, one_line(said, _SAID))
