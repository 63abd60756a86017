"""The rules of an S3 bucket: what would delete or archive backups behind everybody's back, and what dead uploads cost.

These credentials may be forbidden to ask, as it should be on a node: then nobody has looked, which is said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from backupstore.core.layout import Layout
from backupstore.errors import Denied, Misconfigured
from backupstore.stores.examination import Examinable, Examination, Rule, Unfinished
from shipper.doctor.case import Case
from shipper.doctor.findings import Report, fail, ok, unchecked, warn
from shipper.doctor.settings import COLD

_DAY = 86_400.0
_ASK = "Ask again with an administrator's credentials (MEDUSA_STORAGE_KEY_FILE=… medusa-shipper doctor --only store)."


def look_at_rules(case: Case) -> Iterator[Report]:
    """Lifecycle, versions, locks, unfinished uploads."""
    if not isinstance(case.store, Examinable):
        return
    asked, layout = case.store.examination(), case.layout
    aborts: list[bool] = []

    def lifecycle() -> Iterable[Report]:
        found = asked.lifecycle()
        aborts.append(any(rule.aborts and meets(rule, layout) for rule in found))
        return judge_rules(found, layout)

    forbidden: list[str] = []
    unknown: list[str] = []
    questions: dict[str, Callable[[], Iterable[Report]]] = {
        "the lifecycle of the bucket": lifecycle,
        "unfinished uploads": lambda: _uploads(case, asked, has_rule=any(aborts)),
        "versioning": lambda: judge_versions(asked.versioning()),
        "object lock": lambda: judge_lock(asked.lock_days()),
    }
    for what, ask in questions.items():
        try:
            yield from ask()
        except Denied:
            forbidden.append(what)
        except Misconfigured:  # what a server says of a question that it does not know
            unknown.append(what)
    if forbidden:
        yield unchecked(f"these credentials may not see {', '.join(forbidden)}", _ASK)
    if unknown:
        yield unchecked(f"this server does not tell {', '.join(unknown)}")


def meets(rule: Rule, layout: Layout) -> bool:
    """Whether a rule holds for some key of this cluster."""
    own = (layout.root, layout.announcements())
    return any(rule.prefix.startswith(folder) or folder.startswith(rule.prefix) for folder in own)


def judge_rules(found: Iterable[Rule], layout: Layout) -> Iterator[Report]:
    """A differential backup is made of objects of any age: nothing but purge knows which of them are still needed."""
    bad: list[Report] = []
    for rule in found:
        if not meets(rule, layout):
            continue
        called = f"the lifecycle rule {rule.id or '(without a name)'} for '{rule.prefix}*'"
        if rule.expires:
            bad.append(
                fail(
                    f"{called} deletes objects by their age: backups made today still need objects of last year",
                    "Disable it. Only Medusa's purge knows what is not needed any more.",
                )
            )
        if rule.moves_to in COLD:
            bad.append(
                fail(
                    f"{called} moves objects to {rule.moves_to}, where nothing can be read without asking hours before",
                    "Disable it, or let it move to STANDARD_IA or GLACIER_IR.",
                )
            )
    yield from bad or [ok("no lifecycle rule deletes or archives backups")]


def _uploads(case: Case, asked: Examination, *, has_rule: bool) -> Iterator[Report]:
    yield judge_uploads(asked.unfinished(case.folder), case.clock.now(), has_rule=has_rule)


def judge_uploads(found: Unfinished, now: float, *, has_rule: bool) -> Report:
    """What killed uploads leave is paid for until somebody gives it up."""
    age = (now - found.oldest) / _DAY
    if not found.count:
        return ok("no unfinished uploads")
    text = f"{found.count} unfinished uploads of this node, the oldest of {age:.1f} days ago"
    if age > 1 and not has_rule:
        return warn(
            f"{text}, and no lifecycle rule gives them up",
            "Add one (AbortIncompleteMultipartUpload after 7 days, docs/guides/s3.md), or run 'serve', which does it.",
        )
    return ok(text)


def judge_versions(status: str) -> Iterator[Report]:
    """Versioning brings back what was deleted, and costs what was deleted."""
    if status == "Enabled":
        yield ok(
            "old versions are kept: what somebody deletes can be brought back, and is paid for until a rule drops it"
        )
    elif status == "Suspended":
        yield warn(
            "versioning is suspended: servers have ignored conditions of writes in that state",
            "Enable it again, or use a bucket that never had it.",
        )
    else:
        yield ok("no versioning: what is deleted is gone")


def judge_lock(retention: str) -> Iterator[Report]:
    """Objects that are locked stay, and are paid for, whatever purge does."""
    if retention:
        yield ok(f"new objects are locked by default ({retention}): purge hides them, and they stay until then")
