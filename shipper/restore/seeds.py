"""Waiting for a seed: a node that starts before any of its ring's seeds is up joins nobody."""

from __future__ import annotations

from backupstore.errors import NodeTrouble, Refused
from backupstore.ports import Clock
from shipper.progress import Progress
from shipper.restore.plan import Here
from shipper.restore.port import Peers

PATIENCE = 3600.0
"""Seconds for which a seed is waited for, as in stock."""
_POLL_SECONDS = 5.0
_TELL_SECONDS = 60.0


def check_seeds(seeds: tuple[str, ...], own_name: str, here: Here) -> None:
    """Refused when a node would wait for itself."""
    own = {own_name, here.live.address if here.live else own_name}
    named = sorted(own.intersection(seeds))
    if named:
        raise Refused(
            f"--seeds names {named[0]}, which is this node: it would wait for itself.",
            hint="Leave it out; a node that is a seed itself waits for nobody.",
            operation="restore",
        )


def wait_for_seeds(seeds: tuple[str, ...], peers: Peers, clock: Clock, progress: Progress) -> None:
    """Until one of them answers in CQL. NodeTrouble when none did in ``PATIENCE``."""
    progress.step(f"waiting until one of {', '.join(seeds)} is up")
    end = clock.running() + PATIENCE
    told = clock.running()
    while not any(map(peers.is_up, seeds)):
        if clock.running() >= end:
            raise NodeTrouble(
                f"None of the seeds {', '.join(seeds)} answered in CQL within {PATIENCE / 60:.0f} minutes.",
                hint="Start one of them, and see whether this machine reaches its CQL port; --seeds names others.",
                operation="start",
            )
        if clock.running() - told >= _TELL_SECONDS:
            told = clock.running()
            progress.step(f"none of the seeds is up yet; waiting for {(end - told) / 60:.0f} more minutes")
        clock.sleep(_POLL_SECONDS)
