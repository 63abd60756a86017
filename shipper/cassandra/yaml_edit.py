"""Setting keys in a configuration file that people keep: every other byte of it stays, comments and order too.

The YAML parser says where a value begins and ends; what stands there is replaced, and the whole is read again to see
that nothing else has changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode

from backupstore.errors import Misconfigured


def with_values(path: Path, text: str, values: Mapping[str, str]) -> str:
    """The text with these top keys set; ``values`` are written as they are, so they must be YAML. Misconfigured."""
    wanted = dict(values)
    spans = [(start, end, key) for key, start, end in _spans(path, text) if key in wanted]
    edited = text
    for start, end, key in sorted(spans, reverse=True):
        ends = "\n" if text[start:end].endswith("\n") else ""
        edited = f"{edited[:start]}{key}: {wanted.pop(key)}{ends}{edited[end:]}"
    if wanted:
        edited += "" if edited.endswith("\n") or not edited else "\n"
        edited += "".join(f"{key}: {value}\n" for key, value in wanted.items())
    expected = _parsed(path, text)
    for key, value in values.items():
        expected |= _parsed(path, f"{key}: {value}")
    if _parsed(path, edited) != expected:
        raise _cannot(path, "its form is not understood")
    return edited


def _spans(path: Path, text: str) -> list[tuple[str, int, int]]:
    """Each top key with the offsets where it begins and where its value ends."""
    try:
        top = _yaml().compose(text)
    except (YAMLError, ValueError) as error:
        raise _cannot(path, "it is not YAML") from error
    if not isinstance(top, MappingNode):
        raise _cannot(path, "there is no mapping of keys to values in it")
    return [
        (str(key.value), key.start_mark.index, _end(text, key, value))
        for key, value in top.value
        if isinstance(key, ScalarNode)
    ]


def _end(text: str, key: Node, value: Node) -> int:
    """Where a value ends; the parser takes blanks and comments for a part of one that is not there."""
    if isinstance(value, ScalarNode) and not value.value and value.style is None:
        return text.index(":", key.end_mark.index) + 1
    return int(value.end_mark.index)


def _parsed(path: Path, text: str) -> dict[object, object]:
    try:
        found = _yaml().load(text)
    except (YAMLError, ValueError) as error:
        raise _cannot(path, "it is not YAML") from error
    return dict(found) if isinstance(found, Mapping) else {}


def _yaml() -> YAML:
    yaml = YAML(typ="safe", pure=True)
    yaml.version = (1, 1)  # as Cassandra's own parser has it
    return yaml


def _cannot(path: Path, why: str) -> Misconfigured:
    return Misconfigured(
        (f"{path} cannot be changed: {why}.",),
        hint="Write it as Cassandra's own file is written: one key a line, from the first column, each once.",
    )
