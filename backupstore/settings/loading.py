"""Text from all sources becomes ``Settings``, or one ``Misconfigured`` that names every mistake.

Nothing here asks the network, the clock or the environment of the process: what is not set stays ``None`` (``fqdn``
above all), and the caller hands in the environment.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from backupstore.errors import Misconfigured
from backupstore.settings.files import read_both
from backupstore.settings.logins import with_logins
from backupstore.settings.options import Option
from backupstore.settings.pods import with_pod_name
from backupstore.settings.rules import ERRORS, WARNINGS, Rule
from backupstore.settings.sections import OPTIONS, SECTIONS, Settings
from backupstore.settings.sources import Place, Sources, gather

DEFAULT_FILE = Path("/etc/medusa/medusa.ini")
NOTHING: Mapping[str, str] = MappingProxyType({})

_HOW_TO_BEGIN = (
    f"Copy medusa-example.ini to {DEFAULT_FILE} and adapt it, or name another file with --config-file, or set at least "
    "MEDUSA_STORAGE_STORAGE_PROVIDER and MEDUSA_STORAGE_BUCKET_NAME."
)


@dataclass(frozen=True, slots=True)
class Loaded:
    """The settings, and what an operator should know about them: one line each, without secrets."""

    settings: Settings
    warnings: tuple[str, ...]


def load(path: Path | None, environ: Mapping[str, str], overrides: Mapping[str, str] = NOTHING) -> Loaded:
    """Read the settings: command line before environment before file before defaults.

    ``path`` None is the default file, which may be missing when the rest sets all that is required; what is only ours
    may stand in a companion beside it (``files``). ``overrides`` are
    options of the command line by name (``sources.COMMAND_LINE``). Misconfigured names every mistake at once.
    """
    name = path or DEFAULT_FILE
    files = read_both(name)
    sources = with_pod_name(with_logins(gather(files, environ, overrides)))
    reading = _Reading(sources, str(name))
    absent = not files.exists and (path is not None or reading.lacks_required())
    # Of a file that was named and is not there, nothing else is worth telling.
    mistakes = [f"{name}: does not exist"] if absent else []
    mistakes += reading.mistakes() if not absent or path is None else []
    if mistakes:
        raise Misconfigured(tuple(mistakes), hint=_hint(files.blamed(mistakes), sources, absent=absent))
    sections = {section: holder(**reading.values[section]) for section, holder in SECTIONS.items()}
    return Loaded(Settings(**sections), (*sources.warnings, *reading.complaints(WARNINGS)))


def _hint(what: str, sources: Sources, *, absent: bool) -> str:
    correct = f"Correct {what} (docs/settings.md tells what each key is for) and run it again; nothing was done."
    # A misspelled key is only a warning, but often the reason why another one is missing.
    return "\n    ".join([_HOW_TO_BEGIN if absent else correct, *sources.warnings])


class _Reading:
    """One pass over all options: their values, and the mistakes on the way."""

    def __init__(self, sources: Sources, file: str) -> None:
        self._sources = sources
        self._file = file
        self._mistakes: dict[Place, str] = {}
        self._missing: set[Place] = set()
        self.values: dict[str, dict[str, Any]] = {section: {} for section in SECTIONS}
        for option in OPTIONS:
            self._read(option)

    def lacks_required(self) -> bool:
        """Whether an option without a default is set nowhere."""
        return bool(self._missing)

    def mistakes(self) -> list[str]:
        """Everything that is wrong, in the order of sources and sections."""
        return [*self._sources.problems, *self._mistakes.values(), *self.complaints(ERRORS)]

    def complaints(self, rules: tuple[Rule, ...]) -> list[str]:
        """What the rules say about values that could be read."""
        lines = []
        for rule in rules:
            values = self.values[rule.section]
            if all(key in values for key in rule.keys) and (complaint := rule.complaint(values)):
                lines.append(f"{self._place(rule)}: {complaint}")
        return lines

    def _read(self, option: Option) -> None:
        place, description = (option.section, option.key), option.description
        given = self._sources.given.get(place)
        if given is None and description.default is None:
            self._missing.add(place)
            self._mistakes[place] = f"{self._file}: [{option.section}] {option.key}: is missing, {_allowed(option)}"
            return
        text = given.text if given else description.default or ""
        try:
            _refuse_continued(option, text)
            self.values[option.section][option.key] = description.kind.parse(text)
        except ValueError as problem:
            where = given.where if given else self._file
            self._mistakes[place] = f"{where}: {option.show(text)}: {problem}{_comment(text)}, {_allowed(option)}"

    def _place(self, rule: Rule) -> str:
        """Where to look: the first of the rule's options that is set, else the file."""
        key = f"[{rule.section}] {rule.keys[0]}"
        for option in _options(rule):
            if given := self._sources.given.get((option.section, option.key)):
                return f"{given.where}: {option.show(given.text) if option.key == rule.keys[0] else key}"
        return f"{self._file}: {key}"


def _options(rule: Rule) -> list[Option]:
    """The options of a rule, in its own order."""
    return [option for key in rule.keys for option in OPTIONS if (option.section, option.key) == (rule.section, key)]


def _allowed(option: Option) -> str:
    return f"allowed: {option.description.kind.allowed}"


def _refuse_continued(option: Option, text: str) -> None:
    if "\n" in text and not option.description.kind.multiline:
        raise ValueError("goes on in the next line, because that one is indented")


def _comment(text: str) -> str:
    return " (a comment needs a line of its own)" if " ;" in text or " #" in text else ""
