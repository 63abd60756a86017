"""The journal of a restore: which step it has reached, written before the step is begun.

A killed restore is finished or undone from here. Each step can be repeated: what the step before it has done is known
from the phase, and what it has done itself is seen on disk.

    fetching   nothing of the node has been touched; backups may run, unless this is part of a job
    prepared   everything was checked and fetched and is on the disk; the node has still not been touched
    stopping   Cassandra is being stopped
    setting-aside   old data, commit log, hints, caches and cdc are being renamed aside
    placing    all of the old is aside; the new is being renamed into place
    starting   all of the new is in place; Cassandra is being started and checked
    checked    the new data has proved good; it may still be taken back
    committed  the decision is made; the old is being dropped
    undoing    what is new is being taken out again
    returning  all of the new is out; the old is being renamed back
    restarting all of the old is back; Cassandra is being started

With ``stop_first`` nothing is fetched before ``prepared``, and two others stand in the place of ``setting-aside``. From
the first of them on there is nothing to go back to.

    emptying   the old data is being deleted
    refilling  all of the old is deleted; the backup is being fetched
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from backupstore.errors import Corrupt, Refused
from shipper.restore.places import Place
from shipper.restore.tables import TablesPlan
from shipper.state import StateDirectory, disk_error, replace_file

Phase = Literal[
    "fetching",
    "prepared",
    "stopping",
    "setting-aside",
    "emptying",
    "refilling",
    "placing",
    "starting",
    "checked",
    "committed",
    "undoing",
    "returning",
    "restarting",
]
BEFORE_STOP: frozenset[Phase] = frozenset({"fetching", "prepared"})
DOWN: frozenset[Phase] = frozenset({"setting-aside", "emptying", "refilling", "placing"})
"""Files of the node are moved: Cassandra must not run."""
BACKWARDS: frozenset[Phase] = frozenset({"undoing", "returning", "restarting"})
_TOUCHED: frozenset[Phase] = frozenset({"emptying", "refilling", "placing", "starting", "checked"})
_ENDED = "restore-ended"


class EditedFile(BaseModel):
    """A configuration file that was changed for the restore: its whole text before and after."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: Path
    before: str
    after: str


class Journal(BaseModel):
    """One restore. ``was_up``: whether Cassandra ran when it began; ``boot_id``: of the last run that fetched for it.

    ``bucket`` and ``node`` say whose backup it is: another bucket may have a backup of the same name. ``quiet_peers``
    are to be told to replay hints again. ``job``: the restore of a whole cluster that this is a part of; nothing is
    taken back then unless that says so. ``tokens``: what this node becomes when the backup is another node's, empty when
    it is its own. ``yaml``: how cassandra.yaml was changed for that. ``flags``: which part of the node was asked for, as
    typed. ``part``: what becomes of single tables, None for the whole node; ``created``: whether those that were dropped
    are there again; ``drained``: whether the node took no more writes before it was stopped. ``found``: what a look into
    the restored tables showed, for people.
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
    job: str | None = None
    verify: bool = True
    seeds: tuple[str, ...] = ()
    stop_first: bool = False
    temp_dir: Path | None = None
    tokens: tuple[int, ...] = ()
    yaml: EditedFile | None = None
    flags: str = ""
    part: TablesPlan | None = None
    created: bool = False
    drained: bool = False
    found: str = ""

    def at(self, phase: Phase) -> Journal:
        """The same restore one step on."""
        return self.model_copy(update={"phase": phase})

    @property
    def drains(self) -> bool:
        """Whether files of the node stay: what they lack is in its commit log until it is drained."""
        return self.part is not None or any(place.keep for place in self.places)

    @property
    def is_one_way(self) -> bool:
        """Whether the old data is deleted, and nothing is left to go back to."""
        return self.stop_first and self.phase in _TOUCHED

    @property
    def how_to_finish(self) -> str:
        """The command that goes on with it."""
        if self.job:
            return f"Look at restore-status {self.job}; restore-resume {self.job} goes on with it."
        command = f"--fqdn {self.node} restore-node --remote" if self.tokens else "restore-node"
        return f"Run {command} --backup-name {self.backup}{self.flags} to finish it."

    @property
    def how_to_go_back(self) -> str:
        """The command that takes it back."""
        if self.is_one_way:
            return "It cannot be taken back: its old data was deleted first (--stop-first)."
        return f"restore-rollback {self.job} takes it back." if self.job else "restore-node --undo takes it back."


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


def close(state: StateDirectory, journal: Journal) -> None:
    """The restore is over. Of a job it is remembered how it ended, for its commands may come again."""
    if journal.job:
        note_end(state, journal.job, "committed" if journal.phase == "committed" else "rolled-back")
    state.forget("restore")


End = Literal["committed", "rolled-back"]


def note_end(state: StateDirectory, job: str, end: End) -> None:
    """Remember how this node's part of a job ended."""
    state.write(_ENDED, {"job": job, "end": end})


def ended(state: StateDirectory, job: str) -> End | None:
    """How this node's part of a job ended; None when it has not, or nobody remembers."""
    known = state.read(_ENDED)
    end = known.get("end") if known.get("job") == job else None
    return end if end in {"committed", "rolled-back"} else None


def check_untouched(state: StateDirectory) -> None:
    """Refused when a restore has touched this node and is not over: whatever is backed up now would be half of each.

    Also when it is part of a job, whatever its phase: the job would find the node busy.
    """
    journal = load(state)
    if journal is not None and (journal.job or journal.phase not in BEFORE_STOP):
        part = f", a part of {journal.job}," if journal.job else ""
        raise Refused(
            f"A restore of this node to {journal.backup}{part} is not over.",
            hint=f"{journal.how_to_finish} {journal.how_to_go_back}",
            operation="backup",
        )
