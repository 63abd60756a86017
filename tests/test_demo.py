"""The demo, as `make demo` runs it; then stock Medusa looks at the bucket that it left behind."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.demo.places import BUCKET
from tests.demo.stage import command
from tests.demo.story import DIFFERENTIAL, FULL
from tests.harness.stock import Stock

pytestmark = [pytest.mark.cassandra, pytest.mark.stock, pytest.mark.xdist_group("demo")]

ROOT = Path(__file__).resolve().parents[1]
OURS_ALONE = {"state", "corrupt", "verified"}


@dataclass(frozen=True)
class Left:
    """What the demo said, and left behind."""

    directory: Path
    said: str
    exit_code: int

    def ours(self, *arguments: str) -> Any:  # noqa: ANN401 - any document
        done = subprocess.run([*command(self.directory / "medusa.ini"), *arguments], capture_output=True, check=True)
        return json.loads(done.stdout)

    @property
    def stock(self) -> Stock:
        (node,) = {path.name for path in (self.directory / BUCKET).iterdir() if path.name != "index"}
        work = self.directory / "stock"
        work.mkdir(exist_ok=True)
        return Stock(work=work, base_path=self.directory, bucket=BUCKET, fqdn=node)


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Left]:
    directory = tmp_path_factory.mktemp("demo")
    demo = [sys.executable, "-m", "tests.demo", "--keep", str(directory)]
    done = subprocess.run(demo, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    yield Left(directory, done.stdout, done.returncode)
    print(done.stdout)  # noqa: T201 - pytest shows it where a test failed


def test_every_row_is_back(left: Left) -> None:
    assert left.exit_code == 0, left.said
    assert "Every row is back" in left.said
    assert "DIFFERENT" not in left.said


def test_the_list_came_by_itself(left: Left) -> None:
    assert "build-index" not in left.said
    assert "WARNING" not in left.said
    assert "ERROR" not in (left.directory / "serve.log").read_text(encoding="utf-8")


def test_stock_says_the_same_of_both(left: Left) -> None:
    ours = left.ours("list-backups", "--output", "json")
    theirs = left.stock.list_backups()
    assert [(one["name"], one["backup_type"]) for one in theirs] == [(FULL, "full"), (DIFFERENTIAL, "differential")]
    assert all(one["finished"] for one in theirs)
    # Node for node, name, mode, sizes, counts, and the seconds of start and finish.
    assert [{key: held for key, held in one.items() if key not in OURS_ALONE} for one in ours] == theirs
    assert [list(one) for one in theirs] == [[key for key in one if key not in OURS_ALONE] for one in ours]


@pytest.mark.parametrize("name", [FULL, DIFFERENTIAL])
def test_stock_is_content_with_each(left: Left, name: str) -> None:
    status = left.stock.run("status", "--backup-name", name).check().stdout
    assert "- 1 nodes completed, 0 nodes incomplete, 0 nodes missing" in status
    for options in ([], ["--enable-md5-checks"]):
        done = left.stock.run("verify", "--backup-name", name, *options).check()
        assert "- Manifest validated: OK!!" in done.stdout
    mine = subprocess.run(
        [*command(left.directory / "medusa.ini"), "status", "--backup-name", name],
        capture_output=True,
        text=True,
        check=True,
    )
    assert mine.stdout.startswith(status), "word for word"
    assert all(re.match("- (Not verified|Verified: )", line) for line in mine.stdout.removeprefix(status).splitlines())


def test_on_an_s3_server_it_goes_as_well(tmp_path: Path) -> None:
    demo = [sys.executable, "-m", "tests.demo", "--keep", str(tmp_path), "--store", "s3"]
    done = subprocess.run(demo, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "Every row is back" in done.stdout
    assert "DIFFERENT" not in done.stdout
    assert "WARNING" not in done.stdout
