"""What is told of the last backups: the head and the time → a report → text, JSON and numbers for monitoring.

Text is stock Medusa's, word for word, with lines of ours behind it. A backup that is partial or corrupt is never the
last complete one, and one that was never looked at is never a verified one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from backupstore.core import measures
from backupstore.core.documents import Head, Latest, Line
from backupstore.core.job_documents import Job
from backupstore.core.job_ids import asked_time
from backupstore.core.measures import NEVER, Measure, Sample
from backupstore.core.purge_records import PurgeRecord

_STEP = 1024.0
_UNITS = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi")
_NO_BACKUP = "TRACKING-ERROR"  # stock's name for a backup where there is none to name


@dataclass(frozen=True, slots=True)
class Report:
    """A cluster at ``now``. ``checked``: when somebody confirmed the catalog; None when there is none to rely on.

    ``complete``, ``verified``: the good ones that finished last; ``latest``: the one that started last, good or not;
    ``repaired``: how much the last reconcile had to repair.
    """

    now: float
    checked: float | None
    complete: Line | None
    verified: Line | None
    latest: Line | None
    nodes: Mapping[str, Latest]
    complete_backups: int
    corrupt_backups: int
    failed_verifications: int
    repaired: int = 0

    def since(self, at: float) -> int:
        """Whole seconds since then; a clock that is behind makes none of them negative."""
        return max(0, int(self.now - at))


def last_complete(head: Head) -> Line | None:
    """The complete backup that finished last: never a partial or corrupt one."""
    return _last_finished([line for line in head.backups if line.state == "complete"])


def report_of(head: Head, *, now: float, checked: float | None) -> Report:
    """Everything that is told of this cluster."""
    complete = [line for line in head.backups if line.state == "complete"]
    return Report(
        now=now,
        checked=checked,
        complete=last_complete(head),
        verified=_last_finished([line for line in complete if line.verified is not None and line.verified.ok]),
        latest=max(head.backups, key=lambda line: (line.started, line.name), default=None),
        nodes=head.latest,
        complete_backups=len(complete),
        corrupt_backups=sum(line.corrupt > 0 for line in head.backups),
        failed_verifications=sum(line.verified is not None and not line.verified.ok for line in head.backups),
        repaired=head.repaired,
    )


def text_of(report: Report, node: str) -> list[str]:
    """``report-last-backup``, as that node sees it."""
    return [*_text_of_node(report, node), *_text_of_complete(report), *_text_of_latest(report), *_text_of_ours(report)]


def json_of(report: Report, node: str) -> dict[str, object]:
    """The same for a program; null where there is none."""
    last, latest = report.nodes.get(node), report.latest
    return {
        "node": {"fqdn": node, "name": last.name, "seconds_ago": report.since(last.finished)} if last else None,
        "complete": _aged(report, report.complete),
        "verified": _aged(report, report.verified),
        "latest": {
            "name": latest.name,
            "state": latest.state,
            "started": int(latest.started),
            "completed_nodes": latest.completed,
            "incomplete_nodes_list": list(latest.incomplete),
            "missing_nodes_list": list(latest.missing),
            "size": latest.size,
            "num_objects": latest.objects,
            "corrupt": latest.corrupt,
        }
        if latest
        else None,
        "complete_backups": report.complete_backups,
        "corrupt_backups": report.corrupt_backups,
        "failed_verifications": report.failed_verifications,
        "index_lag": None if report.checked is None else report.since(report.checked),
    }


def samples_of(report: Report, cluster: str, node: str | None = None) -> list[Sample]:
    """The numbers; of the ages of nodes that node's alone, or all for None."""
    return [
        *_ages(report, cluster, node),
        *(_of_latest(report.latest, cluster) if report.latest else ()),
        Sample(measures.FAILED_VERIFICATIONS, report.failed_verifications, cluster),
        Sample(measures.CORRUPT_BACKUPS, report.corrupt_backups, cluster),
        Sample(measures.COMPLETE_BACKUPS, report.complete_backups, cluster),
        Sample(measures.RECONCILE_REPAIRED, report.repaired, cluster),
        Sample(measures.INDEX_LAG, NEVER if report.checked is None else report.since(report.checked), cluster),
        Sample(measures.REPORT_TIME, int(report.now), cluster),
        Sample(measures.REPORT_ERROR, 0, cluster),
    ]


def samples_of_failure(cluster: str) -> list[Sample]:
    """The numbers when nothing could be read: as bad as can be, so that somebody looks."""
    return [
        Sample(measures.CLUSTER_AGE, NEVER, cluster, backup=_NO_BACKUP),
        Sample(measures.REPORT_ERROR, 1, cluster),
    ]


def samples_of_purges(newest_first: Sequence[PurgeRecord], cluster: str, *, now: float) -> list[Sample]:
    """The numbers of the last purges; none where nobody ever purged."""
    if not newest_first:
        return []
    last = newest_first[0]
    done = [record.created for record in newest_first if record.is_done]
    return [
        Sample(measures.PURGE_AGE, max(0, int(now - done[0])) if done else NEVER, cluster),
        Sample(measures.PURGE_FREED, sum(result.bytes for result in last.results), cluster),
        Sample(measures.PURGE_PENDING, len(last.pending), cluster),
        Sample(measures.PURGE_BRAKED, int(last.braked), cluster),
        Sample(measures.PURGE_BLOCKED, len(_last_ended(newest_first).blocked), cluster),
    ]


def samples_of_jobs(jobs: Mapping[str, Job | None], cluster: str, *, unreadable: int, now: float) -> list[Sample]:
    """The numbers of the jobs that are not over, by name; None: no coordinator has seen it. ``unreadable``: so many others."""
    since = [job.since if job else asked_time(name) for name, job in jobs.items() if not job or job.phase != "queued"]
    waiting = [bool(job and job.waiting and job.phase != "queued") for job in jobs.values()]
    return [
        Sample(measures.JOBS_OPEN, len(jobs) + unreadable, cluster),
        Sample(measures.JOBS_WAITING, sum(waiting) + unreadable, cluster),
        Sample(measures.JOB_PHASE, max(0, int(now - min(since, default=now))), cluster),
    ]


def _last_ended(newest_first: Sequence[PurgeRecord]) -> PurgeRecord:
    """The last purge that was carried out to its end: what is at work, or was braked, tells nothing of the nodes."""
    ended = (record for record in newest_first if record.finished is not None and not record.braked)
    return next(ended, newest_first[0])


def _last_finished(lines: list[Line]) -> Line | None:
    finished = [line for line in lines if line.finished is not None]
    return max(finished, key=lambda line: (line.finished or 0.0, line.name), default=None)


def _text_of_node(report: Report, node: str) -> Iterator[str]:
    last = report.nodes.get(node)
    if last is None:
        yield "This node has not been backed up yet"
    else:
        yield f"Latest node backup finished {report.since(last.finished)} seconds ago"


def _text_of_complete(report: Report) -> Iterator[str]:
    complete = report.complete
    if complete is None or complete.finished is None:
        yield "The cluster this node belongs to has no complete backup yet"
        return
    yield "Latest complete backup:"
    yield f"- Name: {complete.name}"
    yield f"- Finished: {report.since(complete.finished)} seconds ago"


def _text_of_latest(report: Report) -> Iterator[str]:
    latest = report.latest
    if latest is None:
        yield "The cluster this node belongs to has not started a backup yet"
        return
    yield "Latest backup:"
    yield f"- Name: {latest.name}"
    yield f"- Finished: {latest.finished is not None}"
    yield "- Details - Node counts"
    yield f"- Complete backup: {latest.completed} nodes have completed the backup"
    for told, names in (
        ("Incomplete backup: {} nodes have not completed the backup yet", latest.incomplete),
        ("Missing backup: {} nodes are not running backups", latest.missing),
    ):
        if names:
            yield f"- {told.format(len(names))}"
            yield "  These nodes are:"
            yield from (f"     {name}" for name in names)
    yield f"- Total size: {_readable(latest.size)}"
    yield f"- Total files: {latest.objects}"
    if latest.corrupt:
        yield f"- Corrupt: {latest.corrupt} components, so this is no good backup"
    elif latest.state == "partial":
        yield "- Partial: some tables only, so this is no whole backup"


def _text_of_ours(report: Report) -> Iterator[str]:
    verified = report.verified
    if verified is None or verified.verified is None:
        yield "No complete backup has been verified yet"
    else:
        yield "Latest verified backup:"
        yield f"- Name: {verified.name}"
        yield f"- Finished: {report.since(verified.finished or 0.0)} seconds ago"
        yield f"- Verified: {report.since(verified.verified.at)} seconds ago, level {verified.verified.level}"
    if report.failed_verifications:
        yield f"Found bad when they were verified: {report.failed_verifications} backups"


def _aged(report: Report, line: Line | None) -> dict[str, object] | None:
    if line is None or line.finished is None:
        return None
    return {"name": line.name, "finished": int(line.finished), "seconds_ago": report.since(line.finished)}


def _ages(report: Report, cluster: str, node: str | None) -> Iterator[Sample]:
    for name, last in sorted(report.nodes.items()):
        if node in {None, name}:
            yield Sample(measures.NODE_AGE, report.since(last.finished), cluster, name, last.name)
    yield _age(report, measures.CLUSTER_AGE, report.complete, cluster)
    yield _age(report, measures.VERIFIED_AGE, report.verified, cluster)


def _age(report: Report, measure: Measure, line: Line | None, cluster: str) -> Sample:
    if line is None or line.finished is None:
        return Sample(measure, NEVER, cluster, backup=_NO_BACKUP)
    return Sample(measure, report.since(line.finished), cluster, backup=line.name)


def _of_latest(latest: Line, cluster: str) -> Iterator[Sample]:
    for measure, value in (
        (measures.NODES_COMPLETE, latest.completed),
        (measures.NODES_INCOMPLETE, len(latest.incomplete)),
        (measures.NODES_MISSING, len(latest.missing)),
        (measures.CLUSTER_SIZE, latest.size),
        (measures.CLUSTER_FILES, latest.objects),
        (measures.CORRUPT_COMPONENTS, latest.corrupt),
    ):
        yield Sample(measure, value, cluster, backup=latest.name)
    for measure, names in (
        (measures.NODE_INCOMPLETE, latest.incomplete),
        (measures.NODE_MISSING, latest.missing),
    ):
        for name in names:
            yield Sample(measure, 1, cluster, name, latest.name)


def _readable(count: int) -> str:
    """As stock prints sizes here, and only here: ``94.69 TiB``."""
    value = float(count)
    for unit in _UNITS:
        if value < _STEP:
            return f"{value:.2f} {unit}B"
        value /= _STEP
    return f"{value:.2f} YiB"
