"""User and password from a mounted secret: a directory with the files ``username`` and ``password``.

As in stock, they go before every other source of the two. Unlike stock, a file that cannot be read is reported together
with all other mistakes.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from backupstore.settings.options import Option
from backupstore.settings.sections import OPTIONS
from backupstore.settings.sources import Given, Place, Sources

_DIRECTORIES = ("cql_k8s_secrets_path", "nodetool_k8s_secrets_path")


def with_logins(sources: Sources) -> Sources:
    """The same sources, with the users and passwords of the directories that they name."""
    given, problems = dict(sources.given), list(sources.problems)
    for option in OPTIONS:
        named = given.get((option.section, option.key)) if option.key in _DIRECTORIES else None
        folder = _folder(option, named)
        if named is None or folder is None:
            continue
        for name in ("username", "password"):
            try:
                text = only_line(folder / name)
            except ValueError as problem:
                problems.append(f"{named.where}: {option.show(named.text)}: the file {name} there: {problem}")
            else:
                given[_place(option, name)] = Given(text, f"{named.where}, the file {name}")
    return replace(sources, given=given, problems=tuple(problems))


def _place(option: Option, name: str) -> Place:
    return option.section, option.key.replace("k8s_secrets_path", name)


def _folder(option: Option, named: Given | None) -> Path | None:
    """The directory; None when none is named, or the name itself is a mistake, which is reported with its option."""
    try:
        found = option.description.kind.parse(named.text) if named else None
    except ValueError:
        return None
    return found if isinstance(found, Path) else None


def only_line(file: Path) -> str:
    """What a file with a secret holds, without its line end. ValueError in words that quote nothing of it."""
    try:
        text = file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ValueError(error.strerror) from None
    except UnicodeDecodeError:
        # Its own words would quote a byte of the password.
        raise ValueError("is no UTF-8 text") from None
    if not text:
        raise ValueError("is empty")
    if len(text.splitlines()) > 1:
        raise ValueError("holds more than one line")
    return text
