"""No option without a test: whoever adds one finds this one failing."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

from backupstore.settings import OPTIONS, Option, load
from tests.settings.shown import ELSEWHERE, SHOWN

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(__file__).parent


def place(option: Option) -> str:
    return f"{option.section}.{option.key}"


def is_ignored(option: Option) -> bool:
    return option.description.obeyed_by.startswith("nothing")


_TLS = {"ca_cert", "tls_cert", "tls_key"}
OBEYED = {place(one) for one in OPTIONS if not is_ignored(one)}


@pytest.fixture(scope="module")
def shown() -> dict[str, list[str]]:
    for file in sorted(FOLDER.glob("test_*.py")):
        importlib.import_module(f"tests.settings.{file.stem}")
    return SHOWN


def test_every_option_that_is_obeyed_has_a_test_that_shows_it(shown: dict[str, list[str]]) -> None:
    assert not sorted(OBEYED - set(shown) - set(ELSEWHERE)), "decorate a test in tests/settings with @shows"


def test_only_options_that_are_obeyed_are_shown_to_be(shown: dict[str, list[str]]) -> None:
    assert not sorted((set(shown) | set(ELSEWHERE)) - OBEYED), "say in its description who obeys it"
    assert not set(shown) & set(ELSEWHERE)


@pytest.mark.parametrize("name", sorted(ELSEWHERE))
def test_what_is_shown_elsewhere_is_there(name: str) -> None:
    file, _, test = ELSEWHERE[name].partition("::")
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    assert test in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("option", [one for one in OPTIONS if is_ignored(one)], ids=place)
def test_what_is_ignored_is_accepted_for_a_reason(option: Option, tmp_path: Path) -> None:
    settings = load(_set(tmp_path, option), {}).settings
    value = getattr(getattr(settings, option.section), option.key)
    assert value != option.description.kind.parse(option.description.default or "")
    assert option.description.obeyed_by.removeprefix("nothing: ").strip()


def _set(folder: Path, option: Option) -> Path:
    """A file with another value than the default; what must be set together is."""
    values = {"storage_provider": "local", "base_path": str(folder), "bucket_name": "b"}
    lines = ["[storage]", *(f"{key} = {value}" for key, value in values.items())]
    if option.section != "storage":
        lines.append(f"[{option.section}]")
    together = [one for one in OPTIONS if one.section == option.section and {one.key, option.key} <= _TLS]
    lines += [f"{one.key} = {_other(one)}" for one in together or [option]]
    file = folder / "medusa.ini"
    file.write_text("\n".join(lines), encoding="utf-8")
    return file


def _other(option: Option) -> str:
    kind, default = option.description.kind, option.description.default or ""
    for text in ("True", "False", "7", "other"):
        try:
            if kind.parse(text) != kind.parse(default):
                return text
        except ValueError:
            continue
    raise AssertionError(f"no value for {place(option)}")
