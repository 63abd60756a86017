"""What the handlers of all clouds do alike: take the jobs of the clusters concerned further, and say what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from backupstore.chance import random_text
from backupstore.core.events import clusters_with_news
from backupstore.core.job_documents import OVER
from backupstore.core.layout import Layout
from backupstore.core.notifications import Notified
from backupstore.errors import BackupError, Misconfigured
from backupstore.function_host import Log, clusters, details, named, raise_first, until
from backupstore.operations.coordinate import Coordinated, Coordinator
from backupstore.operations.deliver import unreadable
from backupstore.operations.job_news import JobNews
from backupstore.operations.job_search import JobSearch
from backupstore.operations.job_upkeep import tidy_jobs
from backupstore.ports import Clock, ObjectStore, Signer
from backupstore.settings import Settings
from backupstore.signing import Ed25519Signer, signer_of

_DAY = 86_400.0
_PART = 0.8  # of the time that is left: the last call may take longer, and the answer has to be given


def signer_by(environ: Mapping[str, str], read: Callable[[str], str], where: str) -> Ed25519Signer:
    """By ``SIGNING_KEY``, or by what ``read`` finds at ``SIGNING_KEY_SECRET``, which is ``where``: with the key as it is now.

    Misconfigured when there is none, or two; what ``read`` raises passes through. Never shows the key.
    """
    text, name = environ.get("SIGNING_KEY", ""), environ.get("SIGNING_KEY_SECRET", "")
    if bool(text) == bool(name):
        raise Misconfigured(
            (f"{'Both' if text else 'Neither'} of SIGNING_KEY and SIGNING_KEY_SECRET is set.",),
            hint=f"Set SIGNING_KEY_SECRET to {where}.",
        )
    return signer_of(text or read(name), "SIGNING_KEY" if text else name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """One process of the function. ``signer`` gives the key as it is now; ``count`` takes a number by its name."""

    settings: Settings
    store: ObjectStore
    clock: Clock
    signer: Callable[[], Signer]
    log: Log
    count: Callable[[str, float], None]
    _search: JobSearch = field(default_factory=JobSearch, init=False)
    _waits: JobNews = field(default_factory=JobNews, init=False)
    _tidied: dict[str, float] = field(default_factory=dict, init=False)

    @property
    def bucket(self) -> str:
        """The one whose events count."""
        return self.settings.storage.bucket_name

    def deliver(self, messages: Mapping[str, Notified], seconds: float) -> Mapping[str, BackupError]:
        """Take further what these messages, by their names, speak of, within so many seconds. The messages that failed.

        Each cluster is looked at once, however many messages speak of it; one that fails keeps no other from it.
        """
        prefix = self.settings.storage.prefix
        spoken_of = {
            name: {one for one in clusters_with_news(notified.events) if prefix in {None, one}}
            for name, notified in messages.items()
        }
        wanted = set[str]().union(*spoken_of.values())
        troubles = self._coordinate(wanted, until(self.store, self.clock, seconds * _PART)) if wanted else {}
        failures: dict[str, BackupError] = {}
        for name, notified in messages.items():
            found = [troubles[one] for one in sorted(spoken_of[name]) if one in troubles] + unreadable(notified)
            if found:
                failures[name] = found[0]
                self.log.error("%s: %s", name, found[0].message, extra=details(found[0]))
        elsewhere = frozenset[str]().union(*(notified.elsewhere for notified in messages.values()))
        if elsewhere:
            self.log.warning("events of other buckets were left out: %s", ", ".join(sorted(elsewhere)))
        self.count("coordinate-failures", len(failures))
        return failures

    def look(self, seconds: float, prefix: str | None = None) -> int:
        """Take all jobs further, or those of one cluster, within so many seconds; how many clusters were looked at.

        What could not be looked at is raised after all others were. A key that cannot be used is found even if there is
        nothing to sign.
        """
        self.signer()
        store = until(self.store, self.clock, seconds * _PART)
        now = self.clock.running()
        wanted = clusters(self.settings, store, prefix, lambda found_in: self._search.clusters(found_in, now))
        troubles = self._coordinate(wanted, store)
        self.count("coordinate-failures", len(troubles))
        for cluster in sorted(set(wanted) - troubles.keys()):
            self._tidy(cluster, store)
        raise_first(self.log, "coordinating", troubles)
        return len(wanted)

    def _coordinate(self, wanted: Iterable[str], store: ObjectStore) -> dict[str, BackupError]:
        """Which clusters failed, and why."""
        try:
            signer = self.signer()
        except BackupError as error:
            return dict.fromkeys(wanted, error)
        troubles, told = dict[str, BackupError](), 0
        for cluster in sorted(wanted):
            try:
                done = Coordinator(store, Layout(cluster), signer, random_text).coordinate(self.clock.now())
            except BackupError as error:
                troubles[cluster] = error
            else:
                told += sum(len(each.told) for each in done)
                for each in done:
                    self._tell(cluster, each)
        self.count("job-commands", told)
        return troubles

    def _tidy(self, cluster: str, store: ObjectStore) -> None:
        """Once a day, delete what is left of jobs that are long over. Trouble with that keeps nothing else from its end."""
        now = self.clock.running()
        if now - self._tidied.get(cluster, -_DAY) < _DAY:
            return
        self._tidied[cluster] = now
        try:
            gone = tidy_jobs(store, Layout(cluster), self.clock.now())
        except BackupError as error:
            self.log.warning("what is left of old jobs of %s: %s", named(cluster), error.message, extra=details(error))
            return
        if gone:
            self.log.info("what was on record about %d jobs of %s is deleted", len(gone), named(cluster))

    def _tell(self, cluster: str, done: Coordinated) -> None:
        extra = {"job": done.job, "phase": done.phase}
        for error in done.strange[:1]:  # whoever writes there may write as much as he likes
            self.log.warning("%s", error.message, extra=details(error))
        if done.before != done.phase:
            level = self.log.info if done.phase not in OVER or not done.why else self.log.error
            level("job %s of %s: %s", done.job, named(cluster), done.phase, extra={**extra, "why": done.why})
        for wait in self._waits.waits(cluster, done):
            self.log.warning(
                "job %s of %s waits: %s", done.job, named(cluster), wait.why, extra={**extra, "node": wait.node}
            )
