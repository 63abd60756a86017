"""What really becomes free of what is deleted, and when: a bucket may keep old versions, or lock its objects.

Asked of the store before anything is deleted, and put into words for the operator. What could not be asked is said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import NamedTuple, TypeVar

from backupstore.core import layout as grammar
from backupstore.core.layout import Layout
from backupstore.errors import BackupError, Denied, Misconfigured
from backupstore.operations.plan import Plan
from backupstore.ports import ObjectStore
from backupstore.stores.examination import Examinable, Examination, Retaining, Retention, Rule

T = TypeVar("T")

_LOOK = "Look at the settings of the bucket where it is administered."
_ASKING = (
    "Give these credentials s3:GetBucketVersioning, s3:GetLifecycleConfiguration, s3:GetBucketObjectLockConfiguration"
    " and s3:GetObjectRetention (docs/permissions.md)."
)
_ADD = (
    'Add a lifecycle rule: {{"ID": "old-versions", "Status": "Enabled", "Filter": {{"Prefix": "{prefix}"}},'
    ' "NoncurrentVersionExpiration": {{"NoncurrentDays": 30}}, "Expiration": {{"ExpiredObjectDeleteMarker": true}}}}'
)


@dataclass(frozen=True, slots=True)
class Keeping:
    """What a bucket keeps of what is deleted; None where that could not be asked, and ``unknown`` says why.

    ``versioning``: ``Enabled``, ``Suspended`` or empty; ``rules``: of its lifecycle; ``lock``: how new objects are locked by
    default; ``last``: the lock of the last object written of all that goes; ``forbidden``: more rights would help.
    """

    versioning: str | None = ""
    rules: tuple[Rule, ...] | None = ()
    lock: str | None = ""
    last: Retention | None = None
    unknown: tuple[str, ...] = ()
    forbidden: bool = False


class Remark(NamedTuple):
    """One sentence; with a hint it is a warning."""

    text: str
    hint: str = ""


def look_at_keeping(store: ObjectStore, newest: str | None) -> Keeping:
    """Ask the bucket; one that keeps nothing where there is nothing to ask. ``newest``: the last object written that goes."""
    if not isinstance(store, Examinable):
        return Keeping()
    asked, failed = store.examination(), dict[str, BackupError]()
    versioning = _asked(asked.versioning, "versioning", failed)
    if versioning == "":
        return Keeping()  # without versions there are no locks either
    return Keeping(
        versioning,
        _asked(asked.lifecycle, "lifecycle rules", failed),
        _asked(asked.lock_days, "object lock", failed),
        _asked(lambda: _retained(asked, newest), "the lock of its objects", failed),
        tuple(f"{what} ({_why(error)})" for what, error in failed.items()),
        any(isinstance(error, Denied) for error in failed.values()),
    )


def newest_going(plan: Plan, layout: Layout) -> str | None:
    """The manifest that was written last of all that the plan deletes; its data is older."""
    finished = [
        (fact.finished, layout.meta(node, name, grammar.MANIFEST))
        for name in plan.deletes
        for node, fact in plan.documents[name].nodes.items()
        if fact.finished is not None
    ]
    return max(finished)[1] if finished else None


def remarks(keeping: Keeping, layout: Layout) -> Iterator[Remark]:
    """In words; nothing where what is deleted is gone."""
    if keeping.unknown:
        yield Remark(
            f"Whether all that is deleted becomes free could not be asked: {'; '.join(keeping.unknown)}.",
            _ASKING if keeping.forbidden else _LOOK,
        )
    if keeping.versioning:
        yield from _of_versions(keeping.versioning, keeping.rules, layout)
    if keeping.lock or keeping.last:
        yield _of_lock(keeping.lock, keeping.last)


def _of_versions(versioning: str, rules: Iterable[Rule] | None, layout: Layout) -> Iterator[Remark]:
    stays = (
        "The bucket keeps old versions: what is deleted stays there, hidden and paid for,"
        if versioning == "Enabled"
        else "Versioning is suspended: what was written while it was on stays when it is deleted, hidden and paid for,"
    )
    if rules is None:
        yield Remark(f"{stays} and for how long nobody can tell here.")
        return
    dropping = [rule for rule in rules if rule.old_versions and layout.root.startswith(rule.prefix)]
    whole = [rule for rule in dropping if not rule.some]
    told = [rule for rule in whole if rule.old_days is not None]
    if told:
        soonest = min(told, key=lambda rule: rule.old_days or 0)
        yield Remark(f"{stays} for {soonest.old_days} more days (lifecycle rule {_called(soonest)}).")
    elif whole:
        yield Remark(f"{stays} until the lifecycle rule {_called(whole[0])} removes it.")
    elif dropping:
        yield Remark(
            f"{stays} for ever: the lifecycle rule {_called(dropping[0])} removes some of it only, by tag, size or number.",
            _ADD.format(prefix=layout.root),
        )
    else:
        yield Remark(f"{stays} for ever: no lifecycle rule removes old versions.", _ADD.format(prefix=layout.root))


def _of_lock(lock: str | None, last: Retention | None) -> Remark:
    if last is None:
        return Remark(f"New objects are locked ({lock}): what is younger is hidden when it is deleted, and stays.")
    until = datetime.fromtimestamp(last.until, timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    lifted = "nobody can remove it sooner" if last.mode == "COMPLIANCE" else "only who may lift the lock can sooner"
    return Remark(f"Object lock ({last.mode}): what is deleted is only hidden until {until}, and stays; {lifted}.")


def _retained(asked: Examination, key: str | None) -> Retention | None:
    return asked.retained(key) if key is not None and isinstance(asked, Retaining) else None


def _asked(ask: Callable[[], T], what: str, failed: dict[str, BackupError]) -> T | None:
    """The answer. That a bucket does not say what it keeps is no reason to delete nothing."""
    try:
        return ask()
    except BackupError as error:
        failed[what] = error
        return None


def _why(error: BackupError) -> str:
    if isinstance(error, Denied):
        return "these credentials may not"
    return "this server does not tell" if isinstance(error, Misconfigured) else error.message.rstrip(".")


def _called(rule: Rule) -> str:
    return rule.id or "without a name"
