"""The document and the example say what the code does. ``python -m tests.test_settings_document`` renews the first."""

from __future__ import annotations

import re
from pathlib import Path

from backupstore.settings import DEFAULT_FILE, OPTIONS, load, settings_table

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "docs" / "settings.md"
EXAMPLE = ROOT / "medusa-example.ini"


def uncommented() -> str:
    """The example with all its keys in force."""
    return re.sub(r"^;(?=\w+ = |\[)", "", EXAMPLE.read_text(encoding="utf-8"), flags=re.MULTILINE)


def test_the_document_is_what_the_code_says() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == settings_table(), "renew it: python -m tests.test_settings_document"


def test_the_document_names_every_option() -> None:
    text = settings_table()
    assert not [option.key for option in OPTIONS if f"| `{option.key}` |" not in text]
    assert str(DEFAULT_FILE) in text


def test_the_example_can_be_used_as_it_is() -> None:
    loaded = load(EXAMPLE, {})
    assert loaded.warnings == ()
    assert loaded.settings.storage.provider == "local"


def test_the_example_has_only_sections_that_stock_knows() -> None:
    """Stock Medusa 0.31 raises KeyError at any other one, and many will have one file for both."""
    headers = re.findall(r"^\[(.*)\]$", EXAMPLE.read_text(encoding="utf-8"), re.MULTILINE)
    assert headers == ["storage", "cassandra", "checks", "monitoring", "logging"]


def test_the_commented_lines_of_the_example_can_be_used_too(tmp_path: Path) -> None:
    every = tmp_path / "every.ini"
    every.write_text(uncommented().replace("base64 of 32 bytes", "A" * 43 + "="), encoding="utf-8")
    assert load(every, {}).warnings == ()


def test_the_example_shows_every_key_of_ours() -> None:
    text = uncommented()
    assert not [one.key for one in OPTIONS if one.section == "shipper" and f"\n{one.key} = " not in text]


def test_the_commented_defaults_of_the_example_are_the_defaults() -> None:
    shown = dict(
        re.findall(r"^;(\w+) = (.*)$", EXAMPLE.read_text(encoding="utf-8").partition("\n;[shipper]\n")[2], re.MULTILINE)
    )
    assert shown == {one.key: one.description.default for one in OPTIONS if one.section == "shipper"}


if __name__ == "__main__":
    DOCUMENT.write_text(settings_table(), encoding="utf-8")
