"""The document and the example say what the code does. ``python -m tests.test_settings_document`` renews the first."""

from __future__ import annotations

import re
import shutil
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


def test_the_last_column_says_who_obeys_or_not_yet_or_nothing_and_why() -> None:
    """What this release obeys is written out here: a store, a verb or a log file that is new has to move its keys."""
    obeyed = {f"{one.section}.{one.key}" for one in OPTIONS if not re.match("not yet|nothing", _obeyed_by(one))}
    cassandra = {one.key for one in OPTIONS if one.key.startswith(("cql_", "nodetool_")) and one.section == "cassandra"}
    cassandra |= {"start_cmd", "stop_cmd", "config_file", "certfile", "usercert", "userkey", "resolve_ip_addresses"}
    assert obeyed == {
        *(f"storage.{key}" for key in ("storage_provider", "bucket_name", "base_path", "prefix", "fqdn")),
        "storage.concurrent_transfers",
        *(f"cassandra.{key}" for key in cassandra),
        *(f"checks.{key}" for key in ("health_check", "query", "expected_rows", "expected_result")),
        *(f"shipper.{one.key}" for one in OPTIONS if one.section == "shipper"),
    }
    others = {_obeyed_by(one) for one in OPTIONS if f"{one.section}.{one.key}" not in obeyed}
    assert not [text for text in others if not re.match(r"(not yet|nothing): \S", text)]


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
    assert headers(EXAMPLE) == ["storage", "cassandra", "checks", "monitoring", "logging"]
    assert headers(OURS) == ["shipper"]


def test_the_commented_lines_of_the_examples_can_be_used_too(tmp_path: Path) -> None:
    every = tmp_path / "every.ini"
    every.write_text(uncommented(EXAMPLE).replace("base64 of 32 bytes", "A" * 43 + "="), encoding="utf-8")
    companion_of(every).write_text(uncommented(OURS), encoding="utf-8")
    assert load(every, {}).warnings == ()


def test_the_example_of_ours_shows_every_key_with_its_default() -> None:
    shown = dict(re.findall(r"^;(\w+) = (.*)$", OURS.read_text(encoding="utf-8"), re.MULTILINE))
    assert shown == {one.key: one.description.default for one in OPTIONS if one.section == "shipper"}


if __name__ == "__main__":
    DOCUMENT.write_text(settings_table(), encoding="utf-8")
