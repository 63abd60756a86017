"""The journal of a restore: which step it has reached, written before the step is begun.

A killed restore is finished or undone from here. Each step can be repeated: what the step before it has done is known
from the phase, and what it has done itself is seen on disk.

    fetching   nothing of the node has been touched; backups may run
    stopping   everything was fetched and is on the disk; Cassandra is being stopped
    setting-aside   old data, commit log, hints, caches and cdc are being renamed aside
    placing    all of the old is aside; the new is being renamed into place
    starting   all of the new is in place; Cassandra is being started and checked
    committed  the new data is good; the old is being dropped
    undoing    what is new is being taken out again
    returning  all of the new is out; the old is being renamed back
    restarting all of the old is back; Cassandra is being started
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from backupstore.errors import Corrupt, Refused
from shipper.restore.places import Place
from shipper.state import StateDirectory, disk_error, replace_file

Phase = Literal[
    "fetching",
    "stopping",
    "setting-aside",
    "placing",
    "starting",
    "committed",
    "undoing",
    "returning",
    "restarting",
]
BEFORE_STOP = frozenset({"fetching"})
BACKWARDS = frozenset({"undoing", "returning", "restarting"})


class Journal(BaseModel):
    """One restore. ``was_up``: whether Cassandra ran when it began; ``boot_id``: of the last run that fetched for it.

    ``bucket`` and ``node`` say whose backup it is: another bucket may have a backup of the same name. ``quiet_peers``
    are to be told to replay hints again.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    phase: Phase
    backup: str
    node: str
    bucket: str
    host_id: str | None
    places: tuple[Place, ...]
    was_up: bool
    boot_id: str
    quiet_peers: tuple[str, ...] = ()
    files: int = 0
    size: int = 0

    def at(self, phase: Phase) -> Journal:
        """The same restore one step on."""
        return self.model_copy(update={"phase": phase})


def load(state: StateDirectory) -> Journal | None:
    """The restore that is not over, if any. Corrupt when the journal cannot be read: nothing may be guessed here."""
    try:
        body = state.journal.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise disk_error(error, state.journal, "restore") from error
    try:
        return Journal.model_validate_json(body)
    except ValidationError as error:
        raise Corrupt(
            f"The journal {state.journal} cannot be read.",
            hint="Do not start Cassandra. The old data lies beside each of its directories, or in it, in folders called"
            " .medusa-shipper-restore…, below 'aside': compare before you move anything. Then remove the journal.",
            operation="restore",
            key=str(state.journal),
        ) from error


def save(state: StateDirectory, journal: Journal) -> Journal:
    """Write it, durably, and return it."""
    replace_file(state.journal, journal.model_dump_json(indent=1).encode())
    return journal


def close(state: StateDirectory) -> None:
    """The restore is over."""
    state.forget("restore")


def check_untouched(state: StateDirectory) -> None:
    """Refused when a restore has touched this node and is not over: whatever is backed up now would be half of each."""
    journal = load(state)
    if journal is not None and journal.phase not in BEFORE_STOP:
        raise Refused(
            f"A restore of this node to {journal.backup} is not over.",
            hint=f"Run restore-node --backup-name {journal.backup} to finish it, or restore-node --undo.",
            operation="backup",
        )
