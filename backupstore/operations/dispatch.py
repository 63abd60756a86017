"""Commands written to where nodes look for them: by compare-and-swap, and never over a later one.

A coordinator that slept may wake with commands of long ago. What lies there is believed to be later than they are if this
same coordinator's key has signed it; anything else is written over.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from backupstore.core.commands import Command, Payload, read_payload, signed
from backupstore.core.documents import decode, encode
from backupstore.core.layout import Layout
from backupstore.errors import Conflict, Corrupt, NotFound, Retryable
from backupstore.operations.each import Each
from backupstore.ports import ObjectStore, Signer

_TRIES = 20


@dataclass(frozen=True, slots=True)
class Dispatch:
    """Where commands go, and who signs them."""

    store: ObjectStore
    layout: Layout
    signer: Signer
    each: Each = map

    def send(self, payloads: Sequence[Payload]) -> tuple[str, ...]:
        """Write what does not lie there yet; the nodes for which something was written."""
        written = self.each(self._send, payloads)
        return tuple(payload.node for payload, was in zip(payloads, written, strict=True) if was)

    def _send(self, payload: Payload) -> bool:
        key = self.layout.command(payload.node)
        body = encode(signed(payload, self.signer.key_id, self.signer.sign))
        for _ in range(_TRIES):
            try:
                found = self.store.read(key)
            except NotFound:
                found = None
            if found and (found.body == body or self._is_later(found.body, payload, key)):
                return False
            try:
                if found:
                    self.store.replace(key, body, found.version)
                else:
                    self.store.create(key, body)
            except Conflict:
                continue
            return True
        raise Retryable(
            f"{key} was changed by others {_TRIES} times in a row",
            hint="Let fewer coordinators run for one cluster at the same time.",
            operation="command",
            key=key,
        )

    def _is_later(self, body: bytes, payload: Payload, key: str) -> bool:
        try:
            command = decode(Command, body, key)
            there = read_payload(command.payload, key)
        except Corrupt:
            return False
        if signed(there, self.signer.key_id, self.signer.sign) != command:
            return False
        if there.job == payload.job:
            return there.place >= payload.place
        return there.issued > payload.issued
