"""What of a load was sent already, so that a killed one goes on. It may be lost: then more is sent again than needs to be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from backupstore.core.schema_statements import Name
from shipper.state import StateDirectory

RECORD = "load"


class Memory:
    """What was loaded of a request, which is ``of`` something. ``job``: it may be asked for again when it is over."""

    def __init__(self, state: StateDirectory, job: str | None, of: Sequence[str | None]) -> None:
        self._state = state
        self._job = job
        self._of = list(of)
        kept: dict[str, Any] = state.read(RECORD)
        ours = kept.get("of") == self._of
        self.sources: list[str] = _texts(kept.get("sources")) if ours else []
        self._at: list[str] = _texts(kept.get("at")) if ours else []

    def tables(self, source: str) -> set[Name]:
        """(keyspace, folder) of this source that were loaded."""
        if not self._at or self._at[0] != source:
            return set()
        return {(keyspace, folder) for keyspace, _, folder in (text.partition("/") for text in self._at[1:])}

    def add_table(self, source: str, keyspace: str, folder: str) -> None:
        """One more table of a source is loaded."""
        if not self._at or self._at[0] != source:
            self._at = [source]
        self._at.append(f"{keyspace}/{folder}")
        self._save()

    def add_source(self, source: str) -> None:
        """A source is loaded."""
        self.sources.append(source)
        self._at = []
        self._save()

    def close(self) -> None:
        """All is loaded. A job may ask again, and nothing is done then."""
        if self._job is None:
            self._state.forget(RECORD)
        else:
            self._save()

    def _save(self) -> None:
        self._state.write(RECORD, {"of": self._of, "sources": self.sources, "at": self._at})


def _texts(value: object) -> list[str]:
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []
