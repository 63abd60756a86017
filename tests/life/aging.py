"""Days that pass in no time: everything that bears a time is made a day older, and the clocks stay as they are.

Every rule of ours compares two times and looks at their difference only: an object's LastModified (which versitygw takes
from the file's mtime, so that it can be set under the server), a time that one of our programs wrote down, and the clock.
When all times that were ever written down go back by a day, each of their differences stays as it was, and each of their
differences from the clock grows by a day: just as if everybody had waited that long. So what has to be moved is all that
some rule compares, and nothing may be left out:

* the time of every object (age of backups, of what was never finished, of orphans, of condemned documents and records);
* in condemned documents ``created`` (they are dropped by the later of both times), in holds ``created`` and ``expires``,
  in records of purges ``created`` and ``finished``, in findings ``at``, in accepted rings ``started`` and ``created``;
* on a node what it remembers of the bucket: when it last looked for damage, an object's time, when a file was last read.

The catalog and stock's index are worked out from the rest, and are built anew afterwards. What no program reads again
(``attempt.begun``, the ``at`` of announcements, ``abandoned`` and ``damaged``) stays. Not moved either is what does not
belong to us: Cassandra's own files, whose times are only compared for being the same, and its rows.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.harness.s3_servers import S3Server

DAY = 86_400
DOCUMENTS: Mapping[str, tuple[str, ...]] = {
    "condemned": ("created",),
    "holds": ("created", "expires"),
    "purges": ("created", "finished"),
    "findings": ("at",),
    "accepted_rings": ("started", "created"),
}
"""What our own documents say about time, by their folder."""


@dataclass(frozen=True, slots=True)
class Aging:
    """A bucket that a gateway keeps in a directory. ``nodes``: the state directories beside it."""

    server: S3Server
    folder: Path
    bucket: str
    prefix: str
    nodes: tuple[Path, ...]

    def pass_days(self, days: int) -> None:
        """So many days later."""
        seconds = days * DAY
        for folder, fields in DOCUMENTS.items():
            self._rewrite((self._root / self.prefix / "index" / folder).rglob("*.json"), fields, seconds)
        for path in self._root.rglob("*"):
            if path.is_file():
                _set_back(path, path.stat().st_mtime_ns - seconds * 10**9)
        for state in self.nodes:
            _age_memory(state, seconds)

    @property
    def _root(self) -> Path:
        return self.folder / "data" / self.bucket

    def _rewrite(self, paths: Iterable[Path], fields: tuple[str, ...], seconds: int) -> None:
        """Through the server, for it keeps digests beside the files; each keeps its time."""
        with self.server.boto() as boto:
            for path in list(paths):
                before = path.stat().st_mtime_ns
                body = json.dumps(_older(json.loads(path.read_bytes()), fields, seconds)).encode()
                boto.put_object(Bucket=self.bucket, Key=path.relative_to(self._root).as_posix(), Body=body)
                _set_back(path, before)


def _older(document: dict[str, Any], fields: tuple[str, ...], seconds: int) -> dict[str, Any]:
    times = {field: document[field] - seconds for field in fields if document.get(field) is not None}
    return {**document, **times}


def _set_back(path: Path, at: int) -> None:
    os.utime(path, ns=(at, at))


def _age_memory(state: Path, seconds: int) -> None:
    looked = state / "looked.json"
    if looked.exists():
        looked.write_text(json.dumps(_older(json.loads(looked.read_text()), ("at",), seconds)))
    if (state / "known-files.sqlite").exists():
        known = sqlite3.connect(state / "known-files.sqlite", isolation_level=None)
        known.execute("UPDATE known SET modified = modified - ?, read_at = read_at - ?", (seconds, seconds))
        known.close()
