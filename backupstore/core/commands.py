"""Commands: what the coordinator tells one node to do, who may be believed to have told it, and whether it is obeyed.

A command is signed, because whoever can write into the bucket must not be able to stop a node by that. What is signed is
the text of the payload, byte for byte. The list of verbs is closed, and so are the arguments of each: a node that does not
know an argument must not act as if it were not there. Whether a genuine command is obeyed is decided by
``obedience.accept`` from what the node has seen so far.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from backupstore.core.documents import FORMAT, Mode, Own
from backupstore.core.job_documents import Method, Verb
from backupstore.core.job_fields import Datacenter, JobId, Keyspace, Table
from backupstore.core.shown import one_line
from backupstore.core.work import Prefix, Segment
from backupstore.errors import Corrupt, Denied

Check = Callable[[bytes, bytes], bool]
"""Whether a signature (first) is that of the bytes (second), by one public key."""


class _Closed(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Nothing(_Closed):
    """``stop``, ``place``, ``start``, ``check``, ``commit``, ``put-back``: all is known since ``prepare``."""


class Filtered(_Closed):
    """What all that handle a backup need to know: its name, and what of it is meant; without filters, everything."""

    backup: Segment
    keyspaces: tuple[Keyspace, ...] = ()
    tables: tuple[Table, ...] = ()


class BackupArguments(Filtered):
    """``backup``. ``mode`` None: as the node is set."""

    mode: Mode | None = None


class PrepareArguments(Filtered):
    """``prepare``: look whether it can be done, fetch and check what is needed, and touch nothing.

    By ``replace`` there is one source, another node's if ``remote``: its tokens are taken over. ``targets``: all nodes that
    go down together.
    """

    method: Method = "replace"
    sources: tuple[Segment, ...]
    remote: bool = False
    targets: tuple[Segment, ...]
    keep_auth: bool = False
    verify: bool = True
    stop_first: bool = False


class SchemaArguments(Filtered):
    """``schema``: create what the backups of ``sources`` need; ``index``: what had to wait until they were loaded.

    ``datacenters``: name in the backup → name here. ``verify``: look into the tables when all is loaded.
    """

    sources: tuple[Segment, ...]
    verify: bool = True
    datacenters: dict[Datacenter, Datacenter] = Field(default_factory=dict)


class LoadArguments(Filtered):
    """``load``: stream the backups of ``sources`` into the cluster."""

    sources: tuple[Segment, ...]
    keep_auth: bool = False


Arguments = Nothing | BackupArguments | PrepareArguments | SchemaArguments | LoadArguments
_ARGUMENTS: dict[str, type[_Closed]] = {
    "backup": BackupArguments,
    "prepare": PrepareArguments,
    "schema": SchemaArguments,
    "load": LoadArguments,
    "index": SchemaArguments,
}


class Payload(_Closed):
    """What is commanded. ``number`` counts the commands to this node in this job, over all epochs; a later one has a higher one.

    ``issued``, ``expires``: by the coordinator's clock. Whatever has not begun when it expires is not begun any more.
    """

    format: Literal[1] = FORMAT
    prefix: Prefix
    node: Segment
    job: JobId
    epoch: int = Field(ge=1)
    number: int = Field(ge=1)
    verb: Verb
    arguments: Arguments = Field(default_factory=Nothing)
    issued: float
    expires: float

    @field_validator("arguments", mode="before")
    @classmethod
    def _of_the_verb(cls, value: object, info: ValidationInfo) -> object:
        kind = _ARGUMENTS.get(info.data.get("verb", ""), Nothing)
        if isinstance(value, kind):
            return value
        if isinstance(value, BaseModel):
            raise ValueError(f"{info.data.get('verb')} takes {kind.__name__}")  # noqa: TRY004 # pydantic's own kind
        return kind.model_validate_json(json.dumps(value))

    @property
    def text(self) -> str:
        """Canonical JSON: sorted keys, no spaces, ASCII. Equal payloads have equal texts."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), ensure_ascii=True)

    @property
    def place(self) -> tuple[int, int]:
        """Of two commands of a job the one with the greater place is the later one."""
        return self.epoch, self.number


A = TypeVar("A", bound=_Closed)


def arguments_of(payload: Payload, kind: type[A]) -> A:
    """The arguments as those of the verb at hand."""
    if not isinstance(payload.arguments, kind):
        raise Corrupt(f"{payload.verb} comes without {kind.__name__}", operation="command")
    return payload.arguments


class Command(Own):
    """``index/commands/F.json``: the text of a payload, and its signature (base64) by the key of that id."""

    payload: str
    key: str
    signature: str


def signed(payload: Payload, key_id: str, sign: Callable[[bytes], bytes]) -> Command:
    """The document. ``sign`` and ``key_id`` are those of ``ports.Signer``."""
    signature = base64.b64encode(sign(payload.text.encode("ascii"))).decode("ascii")
    return Command(payload=payload.text, key=key_id, signature=signature)


def read_payload(text: str, key: str = "") -> Payload:
    """The payload of a text; it proves nothing about who wrote it. Corrupt for all that ``Payload.text`` does not give."""
    try:
        payload = Payload.model_validate_json(text)
    except (ValidationError, UnicodeEncodeError) as error:
        why = "it is no text"
        if isinstance(error, ValidationError):
            first = error.errors(include_url=False, include_input=False)[0]
            why = f"{one_line('.'.join(str(part) for part in first['loc'])) or 'payload'}: {one_line(first['msg'])}"
        raise _corrupt(key, why) from error
    if payload.text != text:
        raise _corrupt(key, "its payload is not written as ours are")
    return payload


def verified(document: Command, keys: Mapping[str, Check], key: str = "") -> Payload:
    """The payload, once its signature was found to be that of one of ``keys``, by id. Denied, or Corrupt, naming ``key``."""
    check = keys.get(document.key)
    if check is None:
        raise _denied(key, f"it is signed with the key {document.key[:80]!r}, which this node does not know")
    try:
        signature = base64.b64decode(document.signature, validate=True)
        body = document.payload.encode("ascii")
    except (binascii.Error, ValueError) as error:
        raise _denied(key, "its signature, or what it signs, is no such thing") from error
    if not check(signature, body):
        raise _denied(key, f"its signature is not that of the key {document.key[:80]!r}")
    return read_payload(document.payload, key)


def _denied(key: str, why: str) -> Denied:
    return Denied(
        f"The command {key} is not obeyed: {why}",
        hint="If the coordinator has a new key, put its public key into command_keys_file of each node. Otherwise find"
        " out who else can write into the bucket.",
        operation="command",
        key=key,
    )


def _corrupt(key: str, why: str) -> Corrupt:
    return Corrupt(
        f"The command {key} cannot be read: {why}",
        hint="Let the coordinator and the nodes run the same version.",
        operation="command",
        key=key,
    )
