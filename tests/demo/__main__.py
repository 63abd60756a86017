"""`python -m tests.demo`: runs the demo in a temporary directory, or in `--keep DIRECTORY`, which is left behind."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.demo.story import run


def main() -> int:
    """Exit code 0 when every row was found again."""
    parser = argparse.ArgumentParser(prog="python -m tests.demo", description=__doc__)
    parser.add_argument("--keep", type=Path, metavar="DIRECTORY", help="an empty directory to work in, left behind")
    parser.add_argument("--store", choices=["local"], default="local", help="what kind of bucket (default: local)")
    options = parser.parse_args()
    if options.keep:
        options.keep.mkdir(parents=True, exist_ok=True)
        return run(options.keep.resolve())
    with tempfile.TemporaryDirectory(prefix="medusa-shipper-demo-") as directory:
        return run(Path(directory))


if __name__ == "__main__":
    sys.exit(main())
