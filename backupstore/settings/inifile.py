"""Reads an INI file as stock does, and knows in which line everything stands.

``configparser`` does the parsing, so that comments, continued lines and delimiters are exactly stock's. It stops at
the first mistake and forgets lines; here each mistake is noted, taken out, and the rest is read again, and each key
carries its line.
"""

from __future__ import annotations

import configparser
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# Not possible in a file that is read at all, so that what is marked with it cannot meet a name of the file.
_MARK = "\0"
_TOP = f"{_MARK}top"
_MOST_REPEATS = 100

# The second line of a secret may look like a key as well (base64 ends with =): what is unlike a name is not shown.
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,31}")


@dataclass(frozen=True, slots=True)
class Entry:
    """One ``key = value``. The key is in lower case, as configparser compares them."""

    section: str
    key: str
    text: str
    line: int


@dataclass(frozen=True, slots=True)
class IniFile:
    """What a file says. ``sections`` gives the line of each header; ``problems`` are lines for the operator."""

    name: str
    entries: tuple[Entry, ...] = ()
    sections: tuple[tuple[str, int], ...] = ()
    problems: tuple[str, ...] = ()


class _Key(str):
    """A key that knows its line: configparser keeps the key object that it was given first."""

    __slots__ = ("line",)
    line: int


class _Parser(configparser.ConfigParser):
    """configparser without interpolation (a log format is full of %) and without a DEFAULT section."""

    def __init__(self) -> None:
        super().__init__(interpolation=None, default_section=f"{_MARK}default")
        self.line = 0

    def optionxform(self, optionstr: str) -> str:
        """Called once for each key, while its line is the last one handed out."""
        key = _Key(optionstr.lower())
        key.line = self.line
        return key

    def counted(self, lines: list[str]) -> Iterator[str]:
        """The lines, below a header of our own (line 0): keys above the first section then have a place."""
        for self.line, text in enumerate([f"[{_TOP}]\n", *lines]):
            yield text


def shown(name: str) -> str:
    """A key or section for a message."""
    return name if _NAME.fullmatch(name) else "***"


def read(path: Path) -> IniFile | None:
    """Read a file; None when it does not exist."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as problem:
        return IniFile(str(path), problems=(f"{path}: is no UTF-8 text (byte {problem.start})",))
    except OSError as problem:
        return IniFile(str(path), problems=(f"{path}: cannot be read: {problem.strerror or problem}",))
    return parse(text, str(path))


def parse(text: str, name: str) -> IniFile:
    """Parse text. Never raises; lines that make no sense are named in ``problems``, never quoted (passwords)."""
    if _MARK in text:
        return IniFile(name, problems=(f"{name}: holds a NUL character; this is no text file",))
    lines = list(io.StringIO(text))
    problems: dict[int, str] = {}
    for _ in range(_MOST_REPEATS):
        parser = _Parser()
        try:
            parser.read_file(parser.counted(lines), name)
        except configparser.DuplicateSectionError as problem:
            line = (problem.lineno or 1) - 1
            first = _line_of(problem.section, lines)
            problems[line] = (
                f"[{shown(problem.section)}] stands in line {first} already; each section may stand there once"
            )
            _set_apart(lines, line, after="[")
        except configparser.DuplicateOptionError as problem:
            line = (problem.lineno or 1) - 1
            where = "" if _MARK in problem.section else f"[{shown(problem.section)}] {shown(problem.option)} "
            problems[line] = f"{where}stands in the section already; each key may stand there once"
            _set_apart(lines, line)
        except configparser.ParsingError as problem:
            for number, _quoted in problem.errors:
                problems[number - 1] = "is neither 'key = value', nor a [section], nor a comment (# or ;)"
                lines[number - 2] = ";\n"
        else:
            return _collect(parser, lines, name, problems)
    return IniFile(name, problems=(*_sorted(name, problems), f"{name}: there may be more mistakes of this kind"))


def _set_apart(lines: list[str], line: int, after: str = "") -> None:
    """Rename what stands in a line to something unique, so that what belongs to it does not fall to its neighbour."""
    text = lines[line - 1]
    start = text.index(after) + len(after) if after else len(text) - len(text.lstrip())
    lines[line - 1] = f"{text[:start]}{_MARK}{line}{text[start:]}"


def _sorted(name: str, problems: dict[int, str]) -> tuple[str, ...]:
    return tuple(f"{name}:{line}: {problems[line]}" for line in sorted(problems))


def _collect(parser: _Parser, lines: list[str], name: str, problems: dict[int, str]) -> IniFile:
    entries: list[Entry] = []
    if parser.has_section("DEFAULT"):
        # For stock these count in every section. To read past them could mean another prefix than stock's.
        problems[_line_of("DEFAULT", lines)] = "[DEFAULT] is not supported; write each key into its section"
    for section in parser.sections():
        for key in parser.options(section):
            line = key.line if isinstance(key, _Key) else 1
            if section == _TOP:
                problems[line] = "stands above the first [section]; it must stand in one"
            elif not section.startswith(_MARK) and not key.startswith(_MARK):
                entries.append(Entry(section, str(key), parser.get(section, key), line))
    named = [section for section in parser.sections() if not section.startswith(_MARK) and section != "DEFAULT"]
    headers = tuple((section, _line_of(section, lines)) for section in named)
    return IniFile(name, tuple(entries), headers, _sorted(name, problems))


def _line_of(section: str, lines: list[str]) -> int:
    header = f"[{section}]"
    return next((number for number, text in enumerate(lines, start=1) if text.strip().startswith(header)), 1)
