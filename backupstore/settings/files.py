"""The configuration file and its companion, which holds what is only ours.

Stock Medusa 0.31 stops with a KeyError at a section that it does not know, and many have one file for both programs.
So ``[shipper]`` may stand in a file of its own beside it: ``medusa-shipper.ini`` beside ``medusa.ini``. That holds
nothing else: a prefix that only one of the two programs sees would part their backups.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from backupstore.settings import inifile
from backupstore.settings.inifile import Entry, IniFile, shown

OURS = "shipper"


@dataclass(frozen=True, slots=True)
class Files:
    """What both files say; one that does not exist says nothing. ``problems`` are those of both, and between them."""

    main: IniFile
    companion: IniFile
    exists: bool
    problems: tuple[str, ...]

    def entries(self) -> Iterator[tuple[Entry, str]]:
        """All entries, and where an operator finds each."""
        for file in (self.main, self.companion):
            for entry in file.entries:
                yield entry, f"{file.name}:{entry.line}"

    def blamed(self, mistakes: Iterable[str]) -> str:
        """Which of the two to open because of these mistakes; the main file, where none of them stands in a file."""
        said = tuple(mistakes)
        names = [name for name in (self.main.name, self.companion.name) if any(m.startswith(f"{name}:") for m in said)]
        return " and ".join(names) or self.main.name


def companion_of(path: Path) -> Path:
    """The file beside it that holds ``[shipper]``."""
    return path.parent / f"{path.stem}-shipper{path.suffix}"


def read_both(path: Path) -> Files:
    """Read the file and its companion. Either may be missing."""
    main, beside = inifile.read(path), companion_of(path)
    companion = inifile.read(beside) or IniFile(str(beside))
    strangers = [
        f"{beside}:{line}: {_misplaced(section, path)}" for section, line in companion.sections if section != OURS
    ]
    # What stands in a section that may not be there is said once, not key by key.
    ours = replace(companion, entries=tuple(entry for entry in companion.entries if entry.section == OURS), sections=())
    known = main or IniFile(str(path))
    problems = (*known.problems, *companion.problems, *strangers, *_set_twice(known, ours))
    return Files(known, ours, main is not None, problems)


def _misplaced(section: str, main: Path) -> str:
    if difflib.get_close_matches(section.lower(), [OURS]):
        return f"[{shown(section)}] may not stand here, only [{OURS}]; did you mean that?"
    return f"[{shown(section)}] belongs in {main}; only [{OURS}] may stand here"


def _set_twice(main: IniFile, companion: IniFile) -> list[str]:
    lines = {entry.key: entry.line for entry in main.entries if entry.section == OURS}
    return [
        f"{companion.name}:{entry.line}: [{OURS}] {shown(entry.key)} stands in {main.name}:{lines[entry.key]} too; "
        "keep one of them (here, if stock Medusa reads the other file)"
        for entry in companion.entries
        if entry.key in lines
    ]
