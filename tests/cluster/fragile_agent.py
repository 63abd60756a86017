"""An agent that is killed at a moment of its restore that no signal from outside could be sure to meet.

python -m tests.cluster.fragile_agent <moment> --config-file <ini> agent

It dies by SIGKILL at the first moment of that kind:

    placing        its journal says that phase
    placing:3      the same, and so many files have been renamed since
    place/begun    it has noted that it obeys this verb, and nothing more
    place/done     all of the verb is done, and the coordinator was not told
    place/told     the coordinator was told
    start/running  Cassandra was started, and nobody waits for it
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from backupstore.core.commands import Payload
from shipper.__main__ import main
from shipper.agent.answers import Answers, Said
from shipper.cassandra import service
from shipper.cassandra.process import Completed
from shipper.cassandra.process import run as run_program
from shipper.restore import journal as journals
from shipper.restore import moves
from shipper.restore.journal import Journal
from shipper.state import StateDirectory
from tests.killing import suicide


def run() -> None:
    """Run it."""
    moment = sys.argv.pop(1)
    verb, slash, when = moment.partition("/")
    if moment == "start/running":
        _die_when_cassandra_was_started()
    elif slash:
        _die_when_told(verb, when)
    else:
        phase, _, renames = moment.partition(":")
        _die_in_phase(phase, int(renames or 0))
    main()


def _die_in_phase(phase: str, left: int) -> None:
    save, rename = journals.save, moves.rename
    is_there = False

    def deadly_save(state: StateDirectory, journal: Journal) -> Journal:
        nonlocal is_there
        saved = save(state, journal)
        is_there = journal.phase == phase
        if is_there and not left:
            suicide()
        return saved

    def deadly_rename(source: Path, target: Path) -> None:
        nonlocal left
        rename(source, target)
        left -= is_there
        if is_there and left <= 0:
            suicide()

    journals.save = deadly_save
    moves.rename = deadly_rename


def _die_when_told(verb: str, when: str) -> None:
    say = Answers.say

    def deadly_say(answers: Answers, command: Payload, said: Said) -> None:
        moment = "begun" if said.outcome == "doing" else "done"
        if (command.verb, moment) == (verb, when):
            suicide()
        say(answers, command, said)
        if command.verb == verb and when == "told" and said.outcome != "doing":
            suicide()

    Answers.say = deadly_say  # type: ignore[assignment,method-assign] # it takes the object itself first


def _die_when_cassandra_was_started() -> None:
    def deadly_run(argv: Sequence[str], **named: Any) -> Completed:  # noqa: ANN401 # whatever it takes
        completed = run_program(argv, **named)
        if Path(argv[0]).name == "start":
            suicide()
        return completed

    vars(service)["run"] = deadly_run  # as it is called there


if __name__ == "__main__":
    run()
