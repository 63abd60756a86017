"""Typed values out of a YAML file that people edit: every mistake is noted with its line, none stops the reading."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from backupstore.errors import Misconfigured

_MAX_PORT = 65535


class Values:
    """The keys of one mapping. An absent key and one without value are the same, as for Cassandra."""

    def __init__(self, path: Path, source: str, values: Mapping[object, object], problems: list[str]) -> None:
        self._path = path
        self._source = source
        self._values = values
        self._section = ""
        self.problems = problems

    def raw(self, key: str) -> object:
        """What stands there, of whatever type."""
        return self._values.get(key)

    def complain(self, key: str, why: str) -> None:
        """Note a mistake."""
        top = re.compile(rf"{re.escape(self._section or key)}\s*:")
        at = [number for number, line in enumerate(self._source.splitlines(), 1) if top.match(line)]
        where = f"{self._path}:{at[-1]}" if at else str(self._path)
        inside = f"{self._section}." if self._section else ""
        self.problems.append(f"{where}: {inside}{key} {why}")

    def text(self, key: str, default: str = "") -> str:
        """A text; a number is taken as its text, for nobody quotes a token."""
        value = self.raw(key)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            self.complain(key, "must be a text")
            return default
        return str(value).strip()

    def number(self, key: str) -> int | None:
        """A whole number of 0 or more."""
        text = self.text(key)
        if not text:
            return None
        if not re.fullmatch(r"[0-9]{1,18}", text):
            self.complain(key, f"must be a whole number, not {text!r}")
            return None
        return int(text)

    def port(self, key: str, default: int) -> int:
        """The number of a port."""
        value = self.number(key)
        if value is not None and not 1 <= value <= _MAX_PORT:
            self.complain(key, f"must be a port from 1 to {_MAX_PORT}, not {value}")
        return default if value is None else value

    def flag(self, key: str) -> bool:
        """A truth value; false where there is none."""
        value = self.raw(key)
        if isinstance(value, str) and value.lower() in {"true", "false"}:
            return value.lower() == "true"
        if value is not None and not isinstance(value, bool):
            self.complain(key, "must be true or false")
        return value is True

    def path(self, key: str) -> Path | None:
        """A directory by its full path: a relative one would start where Cassandra was started, which is not here."""
        text = self.text(key)
        return self._absolute(key, text) if text else None

    def paths(self, key: str) -> tuple[Path, ...]:
        """A list of such directories, each once."""
        value = self.raw(key)
        if value is None:
            return ()
        if not isinstance(value, list) or not all(isinstance(item, str) and item.strip() for item in value):
            self.complain(key, "must be a list of directories")
            return ()
        found = tuple(self._absolute(key, item.strip()) for item in value)
        if len(set(found)) < len(found):
            self.complain(key, "names a directory twice")
        return found

    def section(self, key: str) -> Values:
        """A mapping inside this one; empty where there is none."""
        value = self.raw(key)
        if value is not None and not isinstance(value, Mapping):
            self.complain(key, "must have keys of its own")
        inner: Mapping[object, object] = value if isinstance(value, Mapping) else {}
        values = Values(self._path, self._source, inner, self.problems)
        values._section = key
        return values

    def _absolute(self, key: str, text: str) -> Path:
        if not text.startswith("/"):
            self.complain(key, f"must be a full path, not {text!r}")
        return Path(text)


def parse(path: Path, source: str) -> Values:
    """The top of a YAML file. Misconfigured when it is not YAML, or not a mapping."""
    yaml = YAML(typ="safe", pure=True)
    yaml.version = (1, 1)
    try:
        values = yaml.load(source)
    except MarkedYAMLError as error:
        line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        # Of a key that stands there twice, ruamel would also tell both values, and one may be a password.
        raise _not_yaml(path, line, re.sub(r'" with value .*', '"', str(error.problem), flags=re.DOTALL)) from error
    except (YAMLError, ValueError) as error:
        raise _not_yaml(path, "", str(error)) from error
    if not isinstance(values, Mapping):
        raise _not_yaml(path, "", "there is no mapping of keys to values in it")
    return Values(path, source, values, [])


def _not_yaml(path: Path, line: str, why: str) -> Misconfigured:
    return Misconfigured(
        (f"{path}{line}: not YAML: {why}",),
        hint="Check config_file in [cassandra] of medusa.ini; each key must stand there once.",
    )
