"""A database of one's own, for lists that may be longer than memory: SQLite in the directory for temporary files.

It has no name: SQLite takes it from memory as it grows, and it is gone with the process, however that ends.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from backupstore.errors import BackupError, NoSpace, Refused

_BATCH = 1000
_HINT = "It needs about 300 bytes for each object: make room there, or set TMPDIR to a directory that has it."


class Scratch:
    """Used from one thread. NoSpace when there is no room for it, Refused when it fails otherwise; ``operation`` names who asked."""

    def __init__(self, schema: str, operation: str) -> None:
        self._operation = operation
        with self._translated():
            self._db = sqlite3.connect("", isolation_level=None)
            self._db.executescript(schema)

    def close(self) -> None:
        """Forget everything."""
        self._db.close()

    def execute(self, statement: str) -> None:
        """What gives no rows."""
        with self._translated():
            self._db.execute(statement)

    def insert(self, statement: str, rows: Iterable[tuple[object, ...]]) -> None:
        """All in one, which takes a tenth of the time. Should the rows fail half of them is there, which does no harm."""
        with self._translated():
            self._db.execute("BEGIN")
            try:
                self._db.executemany(statement, rows)
            finally:
                if self._db.in_transaction:  # SQLite ends it by itself when there is no room
                    self._db.execute("COMMIT")

    def rows(self, select: str, values: tuple[object, ...] = ()) -> Iterator[tuple[object, ...]]:
        """What a query finds, as it is asked for; what is inserted elsewhere meanwhile makes no difference."""
        with self._translated():
            cursor = self._db.execute(select, values)
        while True:
            with self._translated():
                rows = cursor.fetchmany(_BATCH)
            if not rows:
                return
            yield from rows

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise self._trouble(error) from error

    def _trouble(self, error: sqlite3.Error) -> BackupError:
        if "full" in str(error):
            return NoSpace("the directory for temporary files is full", hint=_HINT, operation=self._operation)
        why = f"the list of objects in the directory for temporary files: {error}"
        return Refused(why, hint=_HINT, operation=self._operation)
