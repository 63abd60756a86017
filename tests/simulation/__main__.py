"""``make simulate N=100000``: many histories on all processors, and what came of them.

python -m tests.simulation 100000 [FIRST]      # seeds "sim FIRST" and on
python -m tests.simulation --seed "sim 4711"   # one history again
"""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from multiprocessing import Pool

from tests.simulation.bucket import Violation
from tests.simulation.play import play

_BLOCK = 50


def _block(first: int) -> tuple[int, int, Counter[str], list[str]]:
    """Histories, steps, what happened, violations."""
    steps, happened, violations = 0, Counter[str](), []
    for number in range(first, first + _BLOCK):
        try:
            history = play(f"sim {number}")
        except Violation as error:
            violations.append(str(error))
        else:
            steps += history.steps
            happened.update(history.happened)
    return _BLOCK, steps, happened, violations


def main(arguments: list[str]) -> int:
    """The number of violations decides."""
    if arguments[:1] == ["--seed"]:
        history = play(arguments[1])
        sys.stdout.write(f"{history.seed}: {history.steps} steps, {history.happened}\n")
        return 0
    histories = int(arguments[0]) if arguments else 10_000
    first = int(arguments[1]) if len(arguments) > 1 else 0
    began, played, steps, happened, violations = time.monotonic(), 0, 0, Counter[str](), list[str]()
    with Pool(os.cpu_count()) as pool:
        for each in pool.imap_unordered(_block, range(first, first + histories, _BLOCK)):
            played, steps = played + each[0], steps + each[1]
            happened += each[2]
            for violation in each[3]:
                sys.stdout.write(f"VIOLATION {violation}\n")
                sys.stdout.flush()
                violations.append(violation)
    seconds = time.monotonic() - began
    speed = played / seconds
    lines = [f"{played} histories, {steps} steps, {speed:.0f} histories per second, {len(violations)} violations"]
    lines += (f"{times:>10}  {what}" for what, times in happened.most_common())
    sys.stdout.write("\n".join(lines) + "\n")
    return min(1, len(violations))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
