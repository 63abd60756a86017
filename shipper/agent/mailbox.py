"""Where commands come from: one object of the bucket, looked at now and then, and believed only with a signature.

While nothing new lies there a look moves no body: a thousand nodes may look often.

What cannot be believed, or may not be obeyed as things stand, is refused, with a reason; the same text only once.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

from backupstore.core.commands import Check, Command, Payload, read_payload, verified
from backupstore.core.documents import decode
from backupstore.core.layout import Layout
from backupstore.core.obedience import Here, Seen, Verdict, accept
from backupstore.errors import BackupError, Corrupt, Denied, NotFound
from backupstore.ports import Document, ObjectStore
from shipper.restore import journal as journals
from shipper.state import StateDirectory

_log = logging.getLogger("medusa-shipper")
_LARGEST = 1 << 20
UNSIGNED = "signature"
"""The code of a refusal because nobody whom the node believes has signed it, or it makes no sense."""


@dataclass(frozen=True, slots=True)
class Letter:
    """What lies there. ``text`` is that of the payload; ``payload`` is None where it cannot be read."""

    text: str
    payload: Payload | None
    verdict: Verdict
    hint: str = ""


@dataclass(slots=True)
class Mailbox:
    """``keys``: what checks signatures, by key id. ``prefix`` and ``node`` are whom commands must be for."""

    store: ObjectStore
    layout: Layout
    node: str
    keys: Mapping[str, Check]
    state: StateDirectory
    _body: bytes = field(default=b"", init=False)
    _version: str = field(default="", init=False)

    def look(self, seen: Seen, now: float) -> Letter | None:
        """What lies there, unless it was seen at the last look. Raises what the store raises, but NotFound."""
        key = self.layout.command(self.node)
        body, version = self._body, self._version
        try:
            if document := self._changed(key):
                body, version = document.body, document.version
        except NotFound:
            body, version = b"", ""
        letter = self._judged(body, key, seen, now) if body and body != self._body else None
        self._body, self._version = body, version
        return letter

    def forget(self) -> None:
        """What lies there could not be taken up: the next look shows it again."""
        self._body, self._version = b"", ""

    def _changed(self, key: str) -> Document | None:
        if not self._version:
            return self.store.read(key, limit=_LARGEST)
        return self.store.read_if_changed(key, self._version, limit=_LARGEST)

    def _judged(self, body: bytes, key: str, seen: Seen, now: float) -> Letter:
        text, payload = body.decode("utf-8", "replace"), None
        try:
            command = decode(Command, body, key)
            text, payload = command.payload, _unchecked(command.payload)
            payload = verified(command, self.keys, key)
        except (Corrupt, Denied) as error:
            return Letter(text, payload, Verdict("refuse", UNSIGNED, error.message), error.hint)
        here = Here(self.layout.prefix, self.node, restore_here(self.state, payload))
        return Letter(text, payload, accept(payload, seen, here, now))


def restore_here(state: StateDirectory, command: Payload) -> str | None:
    """Whose restore of this node is not over: a job, nobody's (empty), or None where there is none in the command's way.

    To ``prepare``, what an earlier job has only fetched is none: it gives way.
    """
    try:
        journal = journals.load(state)
    except BackupError as error:
        _log.error("%s", error.message, extra={"error": error})
        return ""
    if journal is None or (command.verb == "prepare" and journal.phase in journals.BEFORE_STOP):
        return None
    return journal.job or ""


def _unchecked(text: str) -> Payload | None:
    try:
        return read_payload(text)
    except Corrupt:
        return None
