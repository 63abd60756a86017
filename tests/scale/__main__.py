"""``make scale``: what docs/scale.md says, made anew.

python -m tests.scale [NODES]      # the simulation; a thousand nodes take some ten minutes
python -m tests.scale costs        # requests and costs
"""

from __future__ import annotations

import sys

from tests.scale.burst import AMAZON, GOOGLE, Burst, Result
from tests.scale.costs import cost_table, request_table


def main(arguments: list[str]) -> int:
    """Print the tables."""
    if arguments == ["costs"]:
        sys.stdout.write(f"{request_table()}\n{cost_table()}")
        return 0
    nodes = int(arguments[0]) if arguments else 1000
    sys.stdout.write("| Cloud | Nodes | Queue | Calls | Failed | Conflicts | 429 | Writes | Complete after |\n")
    sys.stdout.write("|---|---|---|---|---|---|---|---|---|\n")
    for cloud in (AMAZON, GOOGLE):
        sys.stdout.write(line_of(Burst(cloud, nodes).run()))
        sys.stdout.flush()
    return 0


def line_of(result: Result) -> str:
    """One row."""
    after = "never" if result.complete is None else f"{result.complete:.0f} s"
    tally, seen = result.tally, result.seen
    return (
        f"| {result.cloud} | {result.nodes:,} | {tally.deepest:,} | {tally.calls:,} | {tally.failed + tally.busy:,}"
        f" | {seen.conflicts:,} | {seen.refused:,} | {result.documents:,} + {result.heads:,} | {after} |\n"
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
