"""`python -m tests.demo`: runs the demo in a temporary directory, or in `--keep DIRECTORY`, which is left behind."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.demo.places import PLACES
from tests.demo.story import run


def main() -> int:
    """Exit code 0 when every row was found again."""
    parser = argparse.ArgumentParser(prog="python -m tests.demo", description=__doc__)
    parser.add_argument("--keep", type=Path, metavar="DIRECTORY", help="an empty directory to work in, left behind")
    parser.add_argument("--store", choices=[*PLACES], default="local", help="what kind of bucket (default: local)")
    options = parser.parse_args()
    with work_in(options.keep) as directory, PLACES[options.store](directory) as place:
        return run(directory, place)


@contextmanager
def work_in(kept: Path | None) -> Iterator[Path]:
    """A directory to work in: a temporary one, or this one, which is left behind."""
    if kept is not None:
        kept.mkdir(parents=True, exist_ok=True)
        yield kept.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="medusa-shipper-demo-") as directory:
        yield Path(directory)


if __name__ == "__main__":
    sys.exit(main())
