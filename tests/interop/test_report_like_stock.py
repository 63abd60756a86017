"""``report-last-backup`` beside stock's on the same bucket: the same lines, and the same numbers under the same names."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.harness.stock import Stock
from tests.interop.recorded_stock import Turns, turns
from tests.shipper.cli.handmade import Made, Maker
from tests.shipper.cli.program import Done, run

pytestmark = pytest.mark.stock

OTHER = "10.0.0.2"
LOGGED = re.compile(r"^\[[^]]+\] (\w+): (.*)$", re.MULTILINE)
ABOUT_ITSELF = ("Monitoring provider is", "Loading configuration", "Resolving ", "Found credentials", "Using ")
AGES = {"seconds-since-backup"}


def both(made: Turns, name: str) -> tuple[Stock, list[str]]:
    """Stock, pushing into its ``metrics.json``, and our command with the same file."""
    stock = Stock(
        work=made.folder / name,
        base_path=made.folder,
        prefix=made.place.prefix or None,
        fqdn=made.fqdn,
        settings={"storage": made.place.storage, "monitoring": {"monitoring_provider": "local"}},
    )
    ini = stock.write_ini()
    (ini.parent / "medusa-shipper.ini").write_text(f"[shipper]\nstate_dir = {made.folder / name / 'state'}\n")
    return stock, [sys.executable, "-m", "shipper", "--config-file", str(ini)]


def lines_of(text: str) -> list[str]:
    return [re.sub(r"\d+ seconds ago", "N seconds ago", line) for line in text.splitlines()]


def said_by_stock(text: str) -> list[str]:
    said = [line for level, line in LOGGED.findall(text) if level == "INFO" and not line.startswith(ABOUT_ITSELF)]
    return lines_of("\n".join(said))


def numbers_of_stock(stock: Stock) -> list[tuple[str, str, str, Any]]:
    lines = (stock.work / "metrics.json").read_text().splitlines()
    return sorted(number(json.loads(line)) for line in lines)


def numbers_of_ours(done: Done) -> list[tuple[str, str, str, Any]]:
    said = (json.loads(found) for found in re.findall(r"metric (\{.*\})$", done.err, re.MULTILINE))
    return sorted(number(each) for each in said if each["tags"][0] != "medusa-shipper")


def number(metric: dict[str, Any]) -> tuple[str, str, str, Any]:
    key, what, backup = metric["tags"]
    return key, what, backup, "some" if what in AGES else metric["value"]


@pytest.mark.parametrize("prefix", ["", "east"])
def test_the_same_lines_and_numbers(tmp_path: Path, prefix: str) -> None:
    made = turns(tmp_path, None, prefix=prefix)
    maker = Maker(made.ours.store, made.ours.layout)
    ring = {made.fqdn: "dc1", OTHER: "dc1"}
    made.stock_backs_up("s-whole", "full")
    states: dict[str, Callable[[], object]] = {
        "stock's own": lambda: None,
        "a node is missing": lambda: maker.ship("o-waits", Made(made.fqdn, ring=ring)),
        "a node has begun": lambda: maker.ship("o-waits", Made(OTHER, ring=ring, end="data")),
        "whole": lambda: maker.finish("o-waits", Made(OTHER, ring=ring)),
    }
    for count, (state, happens) in enumerate(states.items()):
        happens()
        stock, ours = both(made, f"run{count}")
        assert run([*ours, "build-index"]).code == 0
        theirs = stock.run("report-last-backup", "--push-metrics").check()
        done = run([*ours, "report-last-backup", "--push-metrics"])
        assert done.code == 0, done.err
        said = said_by_stock(theirs.stderr)
        assert lines_of(done.out) == [*said, "No complete backup has been verified yet"], state
        assert "Latest backup:" in said, "stock said something"
        assert numbers_of_ours(done) == numbers_of_stock(stock), state
