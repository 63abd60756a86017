"""The whole command line, in processes that are born quickly: only Cassandra is recorded, and nobody waits for long.

``python -m tests.shipper.s3.recorded_program`` has everything imported. Each line that it reads is an order (JSON:
``arguments``, ``node``, ``out``, ``err``, ``patience``); for each it forks a process, which can be killed as any other,
says its number, and then how it ended and how many KiB of memory it had at most.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from typing_extensions import Self

from backupstore.clock import SystemClock
from backupstore.stores.http.retry import Patience
from backupstore.stores.s3 import configured
from backupstore.stores.s3.store import S3Store
from shipper.cli import backing_up, downloading, reading, restoring, serving
from shipper.restore.port import Directories
from shipper.wiring import NodeWiring
from tests import forked
from tests.shipper.restore.fake import Node, Peers, Service

_MOST_SLEEP = 0.002
_PRELOADED = (downloading, reading, serving)
OTHERS = ("commitlog", "hints", "saved_caches", "cdc_raw")


class Recorded(Node):
    """As the real one, it is opened by the command that uses it."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


class RecordedWiring(NodeWiring):
    """What the settings say, but for Cassandra."""

    base = Path()

    @property
    def node(self) -> Recorded:  # type: ignore[override]  # the one thing that is not real here
        return Recorded(self.base)

    def directories(self) -> Directories:
        return Directories(self.node.data_directories, tuple(self.base / name for name in OTHERS))

    def service(self) -> Service:  # type: ignore[override]  # goes with the node
        return Service(self.base, self.directories())

    def peers(self, own_host_id: str) -> Peers:  # type: ignore[override]  # goes with the node
        del own_host_id
        return Peers(self.base)


def _opened(patience: Patience, /, *arguments: Any, **named: Any) -> S3Store:  # noqa: ANN401 # whatever a store is given
    return S3Store(*arguments, **{**named, "wire": replace(named["wire"], patience=patience)})


def _nap(_: SystemClock, seconds: float) -> None:
    time.sleep(min(seconds, _MOST_SLEEP))


def play(order: dict[str, Any]) -> int:
    """Carry an order out; the exit code."""
    RecordedWiring.base = Path(order["node"])
    vars(backing_up)["NodeWiring"] = vars(restoring)["NodeWiring"] = RecordedWiring
    vars(configured)["S3Store"] = partial(_opened, Patience(seconds=order["patience"], least=3))
    SystemClock.sleep = _nap  # type: ignore[method-assign,assignment]  # in this process alone
    return forked.play(order["arguments"], out=order["out"], err=order["err"])


def main() -> None:
    """Fork a process for each order."""
    for line in sys.stdin:
        child = os.fork()
        if not child:
            os._exit(play(json.loads(line)))
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()
        _, status, usage = os.wait4(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)} {usage.ru_maxrss}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
