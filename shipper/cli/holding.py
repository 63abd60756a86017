"""The commands that protect a backup from being deleted: hold, release."""

from __future__ import annotations

from backupstore.chance import random_text
from backupstore.core import names
from backupstore.core.documents import Hold
from backupstore.errors import NotFound, Refused
from backupstore.operations.holds import place_hold, read_holds, release_holds
from backupstore.operations.reading import read_backup, survey_backup
from backupstore.wiring import check_bucket
from shipper.cli.console import out
from shipper.cli.logs import log
from shipper.cli.operator import operator
from shipper.cli.options import Globals
from shipper.cli.text import local_time


def run_hold(chosen: Globals, name: str, *, why: str, expires: float | None) -> None:
    """``hold``. ``expires`` in UTC epoch seconds; None: until it is released."""
    check_bucket(chosen.store)
    now = chosen.clock.now()
    if expires is not None and expires <= now:
        raise Refused("The hold would have ended before it began.", hint="Give a time to come.", operation="hold")
    _check_there(chosen, name)
    hold = Hold(backup=name, id=random_text()[:12], by=operator(), why=why, created=now, expires=expires)
    held = place_hold(chosen.store, chosen.layout, hold)
    out(_text(hold))
    if held.condemned:
        raise Refused(
            f"The hold came too late for {', '.join(held.condemned)}: {name} is condemned there, and may be gone already.",
            hint=f"status --backup-name {name} shows what is left; hold another backup. The hold stays for the other nodes.",
            operation="hold",
            key=name,
        )


def run_release(chosen: Globals, name: str, *, ids: list[str], everything: bool) -> None:
    """``release``: the hold that there is; one of several must be named."""
    check_bucket(chosen.store)
    holds = read_holds(chosen.store, chosen.layout, name) if names.is_segment(name) else ()
    known = {hold.id for hold in holds}
    chosen_ids = known if everything else set(ids)
    if not holds or not chosen_ids <= known:
        missing = ", ".join(sorted(chosen_ids - known))
        raise NotFound(
            f"There is no hold {missing} on {name}." if missing else f"There is no hold on {name}.",
            hint="'purge --dry-run' tells what is held.",
            operation="release",
            key=name,
        )
    if not chosen_ids and len(holds) > 1:
        for hold in holds:
            out(_text(hold))
        raise Refused(f"{name} has {len(holds)} holds.", hint="Say which with --id, or --all.", operation="release")
    for released in release_holds(chosen.store, chosen.layout, name, frozenset(chosen_ids or known)):
        log.info("hold %s is released", released)
    out(f"{name}: {len(chosen_ids or known)} released, {len(known - (chosen_ids or known))} left")


def _check_there(chosen: Globals, name: str) -> None:
    """A hold on a mistyped name would protect nothing."""
    there = names.is_segment(name) and (
        read_backup(chosen.store, chosen.layout, name) or survey_backup(chosen.store, chosen.layout, name)
    )
    if not there:
        raise NotFound(
            f"There is no backup {name}.",
            hint="list-backups --show-all shows what there is.",
            operation="hold",
            key=name,
        )


def _text(hold: Hold) -> str:
    until = local_time(hold.expires) if hold.expires is not None else "it is released"
    return f"{hold.backup} is held until {until} by {hold.by}: {hold.why} (hold {hold.id})"
