"""What stands in the guides can be copied: settings load, documents parse, links lead somewhere, checks are so called."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from backupstore.clock import SystemClock
from backupstore.settings import load
from backupstore.stores.memory import MemoryBucket
from backupstore.wiring import open_store
from shipper.doctor.case import Case
from shipper.doctor.checks import all_checks
from tests.shipper.cli.program import Program

GUIDES = sorted((Path(__file__).resolve().parents[3] / "docs" / "guides").glob("*.md"))
OURS = ("s3.md", "minio.md", "ceph-rgw.md", "gcs.md", "nfs.md")


def blocks(guide: Path, kind: str) -> list[str]:
    """The blocks of one language."""
    return re.findall(rf"^```{kind}\n(.*?)^```", guide.read_text(), re.MULTILINE | re.DOTALL)


def names(tmp_path: Path) -> set[str]:
    """Of all checks, on a local bucket and beyond."""
    loaded = load(Program(tmp_path).ini, {})
    stores = (open_store(loaded.settings), MemoryBucket().open(None))
    cases = [Case(loaded.settings, store, SystemClock(), read_only=True, seconds=1.0) for store in stores]
    return {check.name for case in cases for check in all_checks(case, loaded, "", "")}


@pytest.mark.parametrize("name", OURS)
def test_settings_can_be_copied(name: str, tmp_path: Path) -> None:
    (guide,) = (each for each in GUIDES if each.name == name)
    (text,) = (block for block in blocks(guide, "ini") if "bucket_name" in block)
    ini = tmp_path / "medusa.ini"
    ini.write_text(text)
    loaded = load(ini, {})
    assert loaded.warnings == ()


@pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: guide.name)
def test_documents_parse_and_links_lead_somewhere(guide: Path) -> None:
    for block in blocks(guide, "json"):
        assert json.loads(f"[{block}]")  # one may be a part of a list
    links = re.findall(r"\]\((?!http)([^)#]+)(?:#[^)]*)?\)", guide.read_text())
    assert not [link for link in links if not (guide.parent / link).exists()]


def test_the_guides_know_the_checks_by_their_names(tmp_path: Path) -> None:
    known = names(tmp_path)
    areas = {name.partition("/")[0] for name in known}
    told = {
        found
        for guide in GUIDES
        for found in re.findall(r"(?:^|`)(?:OK|WARN|FAIL|\?) +([a-z]+/[a-z.-]+):", guide.read_text(), re.MULTILINE)
    }
    told |= {
        found
        for guide in GUIDES
        for found in re.findall(r"`([a-z]+/[a-z-]+)`", guide.read_text())
        if found.partition("/")[0] in areas
    }
    assert {"store/create-in-parts", "store/powers", "index/replace"} <= told
    assert not told - known
