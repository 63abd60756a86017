"""The document and the example say what the code does. ``python -m tests.test_settings_document`` renews the first."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from backupstore.settings import DEFAULT_FILE, OPTIONS, Option, load, settings_table
from backupstore.settings.files import companion_of

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "docs" / "settings.md"
EXAMPLE = ROOT / "medusa-example.ini"
OURS = ROOT / "medusa-shipper-example.ini"


def uncommented(file: Path) -> str:
    """An example with all its keys in force."""
    return re.sub(r"^;(?=\w+ = |\[)", "", file.read_text(encoding="utf-8"), flags=re.MULTILINE)


def headers(file: Path) -> list[str]:
    return re.findall(r"^;?\[(\w*)\]$", file.read_text(encoding="utf-8"), re.MULTILINE)


def test_the_document_is_what_the_code_says() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == settings_table(), "renew it: python -m tests.test_settings_document"


def test_the_document_names_every_option() -> None:
    text = settings_table()
    assert not [option.key for option in OPTIONS if f"| `{option.key}` |" not in text]
    assert str(DEFAULT_FILE) in text


IGNORED = {
    *(f"storage.{key}" for key in ("use_sudo_for_restore", "aws_cli_path", "k8s_mode")),
    *(f"cassandra.{key}" for key in ("check_running", "is_ccm", "use_sudo")),
    *(f"{one.section}.{one.key}" for one in OPTIONS if one.section in {"ssh", "grpc"}),
}


def test_the_last_column_says_who_obeys_or_nothing_and_why() -> None:
    """What is not obeyed is written out here; that all others are, ``tests/settings`` shows."""
    by = {f"{one.section}.{one.key}": _obeyed_by(one) for one in OPTIONS}
    assert {place for place, text in by.items() if text.startswith("nothing")} == IGNORED
    assert not [text for place, text in by.items() if place in IGNORED and not re.match(r"nothing: \S", text)]


def _obeyed_by(option: Option) -> str:
    return option.description.obeyed_by


def test_the_examples_can_be_used_as_they_are(tmp_path: Path) -> None:
    main = tmp_path / "medusa.ini"
    shutil.copy(EXAMPLE, main)
    shutil.copy(OURS, companion_of(main))
    loaded = load(main, {})
    assert loaded.warnings == ()
    assert loaded == load(EXAMPLE, {})
    assert loaded.settings.storage.provider == "local"


def test_the_main_example_has_only_sections_that_stock_knows_and_the_other_only_ours() -> None:
    assert headers(EXAMPLE) == ["storage", "cassandra", "checks", "monitoring", "logging", "kubernetes"]
    assert headers(OURS) == ["shipper"]


def test_the_commented_lines_of_the_examples_can_be_used_too(tmp_path: Path) -> None:
    every = tmp_path / "every.ini"
    every.write_text(uncommented(EXAMPLE).replace("base64 of 32 bytes", "A" * 43 + "="), encoding="utf-8")
    companion_of(every).write_text(uncommented(OURS), encoding="utf-8")
    assert load(every, {}).warnings == ()


def test_the_main_example_says_of_what_it_shows_what_the_settings_say() -> None:
    """What our own defaults are where they are not stock's."""
    of = {f"{one.section}.{one.key}": one.description for one in OPTIONS}
    defaults = {}
    for place, comment in commented():
        if said := re.search(r"Our default is (\S+);", comment):
            defaults[place] = said[1]
    assert defaults == {"storage.concurrent_transfers": of["storage.concurrent_transfers"].default}


def commented() -> Iterator[tuple[str, str]]:
    """Each key of the main example, ``section.key``, with the comment above it."""
    section = ""
    for block in EXAMPLE.read_text(encoding="utf-8").split("\n\n"):
        lines = block.splitlines()
        comment = " ".join(line for line in lines if line.startswith("; "))
        for line in lines:
            if head := re.match(r";?\[(\w+)\]", line):
                section = head[1]
            elif key := re.match(r";?(\w+) = ", line):
                yield f"{section}.{key[1].lower()}", comment


def test_the_example_of_ours_shows_every_key_with_its_default() -> None:
    shown = dict(re.findall(r"^;(\w+) = (.*)$", OURS.read_text(encoding="utf-8"), re.MULTILINE))
    assert shown == {one.key: one.description.default for one in OPTIONS if one.section == "shipper"}


if __name__ == "__main__":
    DOCUMENT.write_text(settings_table(), encoding="utf-8")
