"""Retention: which cluster backups may go, and why, as one sentence for an operator.

Only backups that *count* make others go: complete, with a ring no smaller than before (``ring_chain``), without an open
finding, and not condemned. Whatever else there is (partial, corrupt, unfinished) never counts; it goes by rules of its
own, and the newest of its kind stays while no backup that counts is newer: it may be all there is.

A verdict only ever changes from keeping to deleting as time passes, and what is left after the deletion is kept by the
same rules at the same time.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from backupstore.core.documents import Hold, State
from backupstore.core.keep_rules import PERIODS, Period, kept_by, moment

_DAY = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What to keep. Ages in seconds; None sets no limit; a ``keep`` of 0 is no rule."""

    max_age: float | None = None
    max_count: int | None = None
    keep: Mapping[Period, int] = field(default_factory=dict)
    minimum_complete: int = 1
    incomplete_grace: float = 14 * _DAY

    @property
    def rules(self) -> dict[Period, int]:
        """The keep rules that are set, the shortest period first."""
        return {period: self.keep[period] for period in PERIODS if self.keep.get(period, 0) > 0}

    @property
    def spares(self) -> int:
        """How many of the newest that count never go: one at least."""
        return max(1, self.minimum_complete)


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeBackup:
    """One node backup as retention sees it. Times in UTC epoch seconds."""

    started: float
    finished: float | None = None
    abandoned: bool = False

    @property
    def last_sign(self) -> float:
        """When its node last did something for it."""
        return self.started if self.finished is None else max(self.started, self.finished)


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One cluster backup. ``lacks`` says how its ring is too small; ``condemned``: its deletion has begun."""

    name: str
    started: float
    finished: float | None = None
    state: State
    nodes: Mapping[str, NodeBackup] = field(default_factory=dict)
    covers_ring: bool = True
    lacks: str = ""
    open_findings: bool = False
    holds: tuple[Hold, ...] = ()
    condemned: bool = False

    @property
    def is_sound(self) -> bool:
        """Whether it is complete, nothing is known to be wrong with it, and it is not going."""
        return self.state == "complete" and not self.open_findings and not self.condemned

    @property
    def counts(self) -> bool:
        """Whether it may make others go."""
        return self.is_sound and self.covers_ring

    @property
    def last_sign(self) -> float:
        """When a node last did something for it, abandoned ones included."""
        return max((node.last_sign for node in self.nodes.values()), default=self.started)

    @property
    def holds_something(self) -> bool:
        """Whether some node of it is finished, so that its data could be restored."""
        return any(node.finished is not None and not node.abandoned for node in self.nodes.values())


@dataclass(frozen=True, slots=True)
class Verdict:
    """``reason`` is one sentence for an operator."""

    name: str
    delete: bool
    reason: str


def verdicts(candidates: Iterable[Candidate], policy: Policy, now: float) -> tuple[Verdict, ...]:
    """Judge every cluster backup; the oldest first. ``now`` in UTC epoch seconds."""
    newest_first = sorted(candidates, key=_moment, reverse=True)
    court = _Court(policy, now, newest_first)
    return tuple(Verdict(one.name, *court.verdict(one)) for one in reversed(newest_first))


def given_up(candidate: Candidate, policy: Policy, now: float) -> tuple[str, ...]:
    """The nodes whose abandoned node backup of it may go, whatever becomes of the rest. None while it is held."""
    if unended(candidate.holds, now):
        return ()
    return tuple(
        sorted(
            name
            for name, node in candidate.nodes.items()
            if node.abandoned and now - node.last_sign > policy.incomplete_grace
        )
    )


Sentence = tuple[bool, str]
"""Delete? And why."""


class _Court:
    """The policy and everything that counts, so that each backup can be judged by itself."""

    def __init__(self, policy: Policy, now: float, newest_first: list[Candidate]) -> None:
        self._policy = policy
        self._now = now
        counted = [one for one in newest_first if one.counts]
        self._rank = {one.name: rank for rank, one in enumerate(counted)}
        self._moments = [_moment(each) for each in reversed(counted)]
        times = [(one.name, one.started) for one in counted]
        self._rules = {period: kept_by(period, most, times) for period, most in policy.rules.items()}
        self._last_hopes = self._find_last_hopes(newest_first)

    def verdict(self, one: Candidate) -> Sentence:
        delete, why = self._judge(one)
        over = [hold for hold in one.holds if not is_live(hold, self._now)]
        return delete, f"{why}{_told(over)}"

    def _judge(self, one: Candidate) -> Sentence:
        live = unended(one.holds, self._now)
        if live:
            until = f" until {_date(live[0].expires)}" if live[0].expires is not None else ""
            late = "; its deletion had begun before" if one.condemned else ""
            return False, f"held by {live[0].by}{until}: {live[0].why}{late}"
        if one.condemned:
            return True, "its deletion has begun"
        if one.state == "incomplete":
            return self._unfinished(one)
        return self._complete(one) if one.counts else self._uncounted(one)

    def _complete(self, one: Candidate) -> Sentence:
        policy, rank = self._policy, self._rank[one.name]
        if rank < policy.spares:
            which = (
                "the newest complete backup" if policy.spares == 1 else f"one of the {policy.spares} newest complete"
            )
            return False, f"{which}, which never goes"
        for period, kept in self._rules.items():
            if one.name in kept:
                return False, f"the newest of {kept[one.name]} (keep_{period})"
        if self._is_old(one):
            return True, self._older()
        if policy.max_count is not None and rank >= policy.max_count:
            return True, f"more than the {policy.max_count} newest complete backups (max_backup_count)"
        return (True, "no keep rule keeps it") if self._only_rules() else (False, self._why_not_yet())

    def _uncounted(self, one: Candidate) -> Sentence:
        """Partial, corrupt, with findings, or of a smaller ring: it never counts, and goes when its time has come."""
        what = _why_uncounted(one)
        if one.state == "complete" and not one.covers_ring and not self._newer(one):
            return False, f"{what}; nothing is decided until the ring is accepted (purge --accept-ring {one.name})"
        if one.name in self._last_hopes:
            return False, f"{what}, and no complete backup is newer"
        if self._is_old(one):
            return True, f"{what}; {self._older()}"
        most = self._policy.max_count
        if most is not None and self._newer(one) >= max(most, self._policy.spares):
            return True, f"{what}; {self._newer(one)} complete backups are newer"
        if self._only_rules() and self._is_before_the_rules(one):
            period, most = next(iter(self._policy.rules.items()))
            return True, f"{what}, and older than the {most} complete backups of keep_{period}"
        return False, f"{what}; {self._why_not_yet()}"

    def _unfinished(self, one: Candidate) -> Sentence:
        grace = self._policy.incomplete_grace
        if self._now - one.last_sign <= grace:
            return False, f"unfinished, but its nodes were at work less than {_days(grace)} ago (incomplete_grace_days)"
        if one.name in self._last_hopes:
            return False, "unfinished, but nodes of it are finished, and no complete backup is newer"
        return True, f"unfinished, and no node was at work on it for {_days(grace)} (incomplete_grace_days)"

    def _find_last_hopes(self, newest_first: list[Candidate]) -> frozenset[str]:
        """Of each kind that does not count, the newest with data, as long as nothing that counts is newer."""
        found: dict[tuple[State, bool], list[str]] = {}
        for one in newest_first:
            if not one.counts and not one.condemned and one.holds_something and not self._newer(one):
                found.setdefault((one.state, one.open_findings), []).append(one.name)
        return frozenset(name for names in found.values() for name in names[: self._policy.spares])

    def _newer(self, one: Candidate) -> int:
        """How many that count are newer."""
        return len(self._moments) - bisect_right(self._moments, _moment(one))

    def _is_old(self, one: Candidate) -> bool:
        return self._policy.max_age is not None and self._now - one.started > self._policy.max_age

    def _older(self) -> str:
        return f"older than {_days(self._policy.max_age or 0.0)} (max_backup_age)"

    def _only_rules(self) -> bool:
        return bool(self._rules) and self._policy.max_age is None and self._policy.max_count is None

    def _is_before_the_rules(self, one: Candidate) -> bool:
        """Whether the rule of the shortest period is full, and all that it keeps is newer."""
        period, most = next(iter(self._policy.rules.items()))
        kept = self._rules[period]
        # What a rule keeps begins with the newest of all: it is all newer when the last of it is.
        return len(kept) == most and self._newer(one) > max(self._rank[name] for name in kept)

    def _why_not_yet(self) -> str:
        policy = self._policy
        limits = []
        if policy.max_age is not None:
            limits.append(f"max_backup_age ({_days(policy.max_age)})")
        if policy.max_count is not None:
            limits.append(f"max_backup_count ({policy.max_count})")
        if limits:
            return f"within {' and '.join(limits)}"
        return "not older than what the keep rules keep" if self._rules else "no limit of age or number is set"


def _moment(one: Candidate) -> tuple[float, str]:
    return one.started, one.name


def _why_uncounted(one: Candidate) -> str:
    if one.state != "complete":
        return {"partial": "only part of each node", "corrupt": "it has corrupt components"}.get(one.state, one.state)
    if one.open_findings:
        return "verify found something missing or changed in it"
    return f"its ring is smaller than before{': ' if one.lacks else ''}{one.lacks}"


def is_live(hold: Hold, now: float) -> bool:
    """A hold whose end cannot be compared (no number) holds."""
    return hold.expires is None or not hold.expires <= now


def unended(holds: Iterable[Hold], now: float) -> tuple[Hold, ...]:
    """The holds that have not ended, sorted by id."""
    return tuple(sorted((hold for hold in holds if is_live(hold, now)), key=lambda hold: hold.id))


def _told(over: list[Hold]) -> str:
    last = max(over, key=lambda hold: (hold.expires or 0.0, hold.id), default=None)
    return f" (the hold of {last.by} ended {_date(last.expires)})" if last else ""


def _date(at: float | None) -> str:
    found = moment(at) if at is not None else None
    return found.strftime("%Y-%m-%d %H:%M UTC") if found else "the end of time"


def _days(seconds: float) -> str:
    days = seconds / _DAY
    return f"{days:g} day{'' if days == 1 else 's'}"
