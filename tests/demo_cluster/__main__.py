"""`python -m tests.demo_cluster`: runs it in a temporary directory, or in `--keep DIRECTORY`, which is left behind."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.demo.__main__ import work_in
from tests.demo_cluster.story import run


def main() -> int:
    """Exit code 0 when every row was found again, twice."""
    parser = argparse.ArgumentParser(prog="python -m tests.demo_cluster", description=__doc__)
    parser.add_argument("--keep", type=Path, metavar="DIRECTORY", help="an empty directory to work in, left behind")
    with work_in(parser.parse_args().keep) as directory:
        return run(directory)


if __name__ == "__main__":
    sys.exit(main())
