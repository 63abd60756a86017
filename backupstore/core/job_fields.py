"""What may stand in the fields of jobs' documents: each is checked where it is read, for whoever wrote it may be a stranger.

From what an operator asks commands are made, and keys: what is refused here could block all jobs of a cluster there.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from backupstore.core import names
from backupstore.core.job_ids import is_job_id
from backupstore.core.shown import one_line
from backupstore.core.work import Segment

_MOST_SAID = 4000
"""Characters."""
_MOST_NAME = 240
"""Bytes. Keys with longer names in them, or files that are called so, are refused by stores."""

_LAST_MOMENT = 250_000_000_000.0


def _job(text: str) -> str:
    if not is_job_id(text):
        raise ValueError("is no id of a job")
    return text


def _name(text: str) -> str:
    if len(text.encode()) > _MOST_NAME:
        raise ValueError("is too long")
    return text


def _keyspace(text: str) -> str:
    if not names.is_keyspace(text):
        raise ValueError("is no name of a keyspace")
    return text


def _table(text: str) -> str:
    if not names.is_table(text):
        raise ValueError("is not KEYSPACE.TABLE")
    return text


def _said(text: str) -> str:
    return one_line(text, _MOST_SAID)


JobId = Annotated[str, AfterValidator(_job)]
Name = Annotated[Segment, AfterValidator(_name)]
"""Of a backup, or of a node."""
Keyspace = Annotated[str, AfterValidator(_keyspace)]
Table = Annotated[str, AfterValidator(_table)]
"""``keyspace.table``. Nodes give such names to nodetool: nothing in them may look like an option, or like two of them."""
Moment = Annotated[float, Field(ge=0, le=_LAST_MOMENT)]
"""UTC epoch seconds that can be written as a date."""
Datacenter = Annotated[str, Field(max_length=500)]
Said = Annotated[str, AfterValidator(_said)]
"""What others say ends in the job, in logs and on terminals, and a node may be a hostile one."""
