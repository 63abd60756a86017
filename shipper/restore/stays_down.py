"""A mark on the disk while Cassandra must not run: its files are on their way, or its seeds are not up yet.

A machine that is switched on again in the middle of a restore starts all its services, and Cassandra on half its files, long
before anybody can stop it. `infra/systemd/cassandra-waits.conf` has systemd look for this mark first. It is made
before the first file moves and gone before we start Cassandra ourselves; the journal, not the mark, says what there is to do.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from shipper.restore.journal import DOWN, Journal
from shipper.state import StateDirectory, disk_error, replace_file, sync_directory

_PHASES = DOWN | {"undoing", "returning"}
_TEXT = (
    "A restore of {backup} is under way on this node: Cassandra must not be started before it is done.\n"
    "The agent goes on with it by itself. Without an agent, 'medusa-shipper doctor' says what to do.\n"
)


def mark_of(state: StateDirectory) -> Path:
    """Where it is."""
    return state.path / "cassandra-stays-down"


def mark(state: StateDirectory, journal: Journal) -> None:
    """Make it, durably, where the phase that begins wants it. NoSpace, Denied."""
    if journal.phase in _PHASES:
        replace_file(mark_of(state), _TEXT.format(backup=journal.backup).encode())


def unmark(state: StateDirectory) -> None:
    """Remove it, durably: Cassandra may run. Denied."""
    path = mark_of(state)
    try:
        with suppress(FileNotFoundError):
            path.unlink()
            sync_directory(path.parent)
    except OSError as error:
        raise disk_error(error, path, "restore") from error
