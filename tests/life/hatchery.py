"""The program in processes that are born quickly, several at a time: nothing of it is replaced, only its imports are done.

``python -m tests.life.hatchery`` has everything imported. Each line that it reads is an order (JSON: ``number``,
``arguments``, ``out``, ``err``); for each it forks a process that runs the command line, and says how that ended.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from shipper.cassandra import cql
from shipper.cli import backing_up, holding, purging, reading, restoring, serving, verifying
from tests.forked import play
from tests.shipper.cli.program import Done

_PRELOADED = (backing_up, cql, holding, purging, reading, restoring, serving, verifying)
_ROOT = Path(__file__).resolve().parents[2]
_CLEAN = {name: value for name, value in os.environ.items() if not name.startswith(("MEDUSA_", "AWS_"))}


class Hatchery:
    """Runs commands; from as many threads as you like."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self._process, self._folder = process, folder
        self._numbers, self._lock = count(1), threading.Lock()
        self._ends: dict[int, Future[int]] = {}
        threading.Thread(target=self._listen, daemon=True).start()

    def run(self, ini: Path, *arguments: str) -> Done:
        """``medusa-shipper --config-file <ini> <arguments>``, to its end."""
        assert self._process.stdin
        end = Future[int]()
        with self._lock:
            number = next(self._numbers)
            self._ends[number] = end
            out, err = self._folder / f"{number:04}.out", self._folder / f"{number:04}.err"
            order = {"number": number, "arguments": ["--config-file", str(ini), *arguments]}
            self._process.stdin.write(json.dumps({**order, "out": str(out), "err": str(err)}) + "\n")
            self._process.stdin.flush()
        code = end.result()
        return Done(code, out.read_text(encoding="utf-8"), err.read_text(encoding="utf-8"))

    def _listen(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            number, code = map(int, line.split())
            self._ends.pop(number).set_result(code)
        for end in self._ends.values():
            end.set_exception(RuntimeError("nothing runs commands any more"))


@contextmanager
def hatchery(folder: Path) -> Iterator[Hatchery]:
    """For many commands; what each said stays in the folder."""
    folder.mkdir()
    command = [sys.executable, "-m", "tests.life.hatchery"]
    with subprocess.Popen(
        command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=_CLEAN
    ) as process:
        try:
            yield Hatchery(process, folder)
        finally:
            assert process.stdin
            process.stdin.close()  # it ends, and so does what listens to it
            process.wait()


def _attend(order: dict[str, Any]) -> None:
    """One process to run the command, and this one to see how it ends."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    child = os.fork()
    if not child:
        os._exit(play(order["arguments"], out=order["out"], err=order["err"]))
    _, status = os.waitpid(child, 0)
    os.write(1, f"{order['number']} {os.waitstatus_to_exitcode(status)}\n".encode())


def main() -> None:
    """Fork a process for each order."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those that attend
    for line in sys.stdin:
        if not os.fork():
            _attend(json.loads(line))
            os._exit(0)


if __name__ == "__main__":
    main()
