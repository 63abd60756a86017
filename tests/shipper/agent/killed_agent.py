"""An agent in a process of its own, that whoever started it may end in any way, at any moment.

python -m tests.shipper.agent.killed_agent <base>

Each verb notes in ``verbs.log`` that it begins and ends, and does not end before there is a file ``go-on``. ``backup`` is the
real one, and the node takes as long for its snapshot.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from backupstore.core.commands import Payload
from shipper.agent.obey import NodeVerbs, Tools
from shipper.agent.verbs import Work
from shipper.backup import Limits
from shipper.cli import logs
from tests.clocks import SharedClock
from tests.shipper.agent.world import open_world, told_nobody


class Ticking(SharedClock):
    """The time of this machine; to sleep takes none."""

    def now(self) -> float:
        return time.time()

    def running(self) -> float:
        return time.monotonic()


def main() -> None:
    """Run it."""
    base = Path(sys.argv[1])
    world = open_world(base, Ticking())

    def note(text: str) -> None:
        with (base / "verbs.log").open("a") as log:
            log.write(f"{text}\n")

    def wait() -> None:
        while not (base / "go-on").exists():
            time.sleep(0.01)

    def nothing() -> Any:  # noqa: ANN401 -- backups need none of these
        raise NotImplementedError

    tools = Tools(nothing, nothing, nothing)
    real = NodeVerbs(world.open_site, tools, told_nobody, Limits(workers=2), "differential")

    def act(command: Payload, work: Work) -> None:
        note(f"{command.verb} begins")
        if command.verb == "backup":
            world.node.between = wait
            real.obey(command, work)
        while not (base / "go-on").exists():
            time.sleep(0.01)
            if command.verb == "prepare":
                work.keep_on()
        note(f"{command.verb} ends")

    world.verbs.acts = dict.fromkeys(("backup", "prepare", "place"), act)
    world.schedule = ""
    logs.stop_on_signals()
    logs.set_up(logs.Wishes(as_json=False, timestamps=False, verbosity=0))
    agent = world.open()
    try:
        agent.run()
    except logs.Stopped:
        agent.stop(30)


if __name__ == "__main__":
    main()
