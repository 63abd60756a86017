"""Work items: what one message of a queue asks a worker to do, and its text.

A message is a hint like an event: it may come twice, late, beside another one, or from somebody who should not have sent it.
So it says where to look and no more. What purge may delete stands in the record of its run in the bucket, and what verify
looks at stands in the plan of its round.
"""

from __future__ import annotations

import json
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, TypeAdapter, ValidationError

from backupstore.core import names
from backupstore.core.documents import Own
from backupstore.core.verification import WHOLE, piece_of
from backupstore.errors import Corrupt

MOST_TEXT = 256 << 10
"""Bytes of one message that any queue takes."""
MOST_PIECES = 1 << 14
"""Into no more pieces is the work on one node backup split."""
_SHOWN = 80


def _segment(text: str) -> str:
    if not names.is_segment(text):
        raise ValueError("cannot be part of a key")
    return text


def _piece(text: str) -> str:
    return str(piece_of(text))


def _prefix(text: str) -> str:
    return _segment(text) if text else text


Segment = Annotated[str, AfterValidator(_segment)]
Prefix = Annotated[str, AfterValidator(_prefix)]


class PurgeWork(Own):
    """Delete of one node what the record of this run says: ``P index/purges/<run>.json`` has the backups and the rules."""

    kind: Literal["purge-node"] = "purge-node"
    prefix: Prefix
    run: Segment
    node: Segment


class VerifyWork(Own):
    """Look at these backups of one node, as the plan of this round says: ``P index/verifying/<round>/plan.json``.

    ``piece``: the part of the work on them that is asked for (``2/4``).
    """

    kind: Literal["verify-node"] = "verify-node"
    prefix: Prefix
    round: Segment
    node: Segment
    backups: tuple[Segment, ...] = Field(min_length=1)
    piece: Annotated[str, AfterValidator(_piece)] = str(WHOLE)

    def smaller(self) -> tuple[VerifyWork, ...]:
        """Items that are the same together and take less time each: fewer backups, or smaller pieces of a single one.

        Empty when it has been split often enough.
        """
        half = len(self.backups) // 2
        if half:
            return tuple(
                self.model_copy(update={"backups": some}) for some in (self.backups[:half], self.backups[half:])
            )
        pieces = piece_of(self.piece).split()
        if pieces[0].of > MOST_PIECES:
            return ()
        return tuple(self.model_copy(update={"piece": str(piece)}) for piece in pieces)


Work = PurgeWork | VerifyWork
_WORK: TypeAdapter[Work] = TypeAdapter(Annotated[Work, Field(discriminator="kind")])


def encode_work(work: Work) -> str:
    """The text of the message: compact JSON in ASCII."""
    return json.dumps(work.model_dump(mode="json"), separators=(",", ":"), ensure_ascii=True)


def read_work(text: str) -> Work:
    """What a message asks for. Corrupt for anything that ``encode_work`` could not have made."""
    try:
        return _WORK.validate_json(text)
    except (ValidationError, UnicodeEncodeError, RecursionError) as error:
        raise Corrupt(
            f"This is no work item: {text[:_SHOWN]!r}",
            hint="Only medusa-shipper should send to this queue. If it was a newer one, upgrade this function.",
            operation="work",
        ) from error
