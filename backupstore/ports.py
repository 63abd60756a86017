"""What the operations need from the outside world, in our words: the object store, queues, metrics and the clock.

The contract of ``ObjectStore`` is what the conformance suite checks on every store; how S3, GCS, libcloud and a
directory keep it is in ``docs/decisions/0001-object-store-port.md``. Keys are full object keys, prefix included:
only ``core.layout`` knows how they are made. A *folder* is a key that ends with ``/`` (or the empty string for the
whole bucket), so that no neighbour with a longer name is ever listed with it. What cannot be a key everywhere (empty
segments, ``.``, ``..``, more than 1024 bytes), and a folder without its slash, is Refused before anything is touched.
Stores are safe to use from several threads; they never log, never print, and let nothing out but ``backupstore.errors``
and what a source or a sink raises.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from backupstore.core.measures import Sample


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One object as a listing or a write answer shows it.

    ``size`` in bytes; ``modified`` in UTC epoch seconds by the store's clock; ``digest`` in the provider's own form
    (S3: the ETag without quotes, GCS: base64 MD5), ``None`` where the store reports none (a local directory).
    ``opaque``: the digest tells whether the object is the same one, and is no digest of its content, though it may look
    like one (S3 with SSE-KMS or SSE-C). A listing cannot know this; ``head``, ``fetch`` and writes can.
    """

    key: str
    size: int
    modified: float
    digest: str | None = None
    opaque: bool = False


@dataclass(frozen=True, slots=True)
class Document:
    """A small object read whole. ``version`` is opaque and only good for ``replace`` and ``read_if_changed``."""

    body: bytes
    version: str
    modified: float


@dataclass(frozen=True, slots=True)
class Folder:
    """One level of the key space: folder names end with ``/`` and are full keys, like the objects."""

    folders: tuple[str, ...]
    objects: tuple[StoredObject, ...]


class Source(Protocol):
    """Bytes to upload. Sequential, and again from the start when the store has to retry."""

    @property
    def size(self) -> int:
        """Exact number of bytes that one pass over ``chunks`` gives."""
        ...

    def chunks(self) -> Iterator[bytes]:
        """Start a new pass, in pieces of at most 1 MiB; an earlier pass is over."""
        ...


Sink = Callable[[bytes], None]
"""Takes the bytes of a download, in order, each piece once."""


class ObjectStore(Protocol):
    """A bucket. Reads see every write that was answered before they began."""

    def read(self, key: str, *, limit: int = 64 << 20) -> Document:
        """Return the whole object. NotFound; Corrupt when it is larger than ``limit`` bytes."""
        ...

    def read_if_changed(self, key: str, version: str, *, limit: int = 64 << 20) -> Document | None:
        """Return the whole object, or None when it is still at the version that ``read`` gave: then no body is sent.

        NotFound; Corrupt when it is larger than ``limit`` bytes.
        """
        ...

    def fetch(self, key: str, sink: Sink) -> StoredObject:
        """Stream the object into ``sink`` in order, bounded memory. NotFound; what the sink raises passes through."""
        ...

    def head(self, key: str) -> StoredObject:
        """What a listing would show for the key. NotFound."""
        ...

    def create(self, key: str, body: bytes) -> StoredObject:
        """Write a small object that is not there yet. Conflict when the key exists, whatever it holds."""
        ...

    def replace(self, key: str, body: bytes, version: str) -> StoredObject:
        """Write over the version that ``read`` gave. Conflict when it changed or is gone."""
        ...

    def put(self, key: str, body: bytes) -> StoredObject:
        """Write unconditionally. Only for derived objects whose content any writer would compute alike."""
        ...

    def upload(self, key: str, source: Source) -> StoredObject:
        """Create an object of any size, checked on arrival. Conflict when the key exists; nothing is left on failure.

        Corrupt when the source gives more or fewer bytes than its size; what the source raises passes through.
        """
        ...

    def list(self, folder: str) -> Iterator[StoredObject]:
        """Every object below the folder, sorted by key (code points), fetched lazily page by page.

        What is created or deleted meanwhile may or may not be seen; everything else is, once.
        """
        ...

    def entries(self, folder: str) -> Folder:
        """One level only (a delimiter listing), sorted. An absent folder is empty."""
        ...

    def delete(self, keys: Iterable[str]) -> None:
        """Delete exactly these keys, in any order; absent ones are fine. Batched where the store can."""
        ...


class Metrics(Protocol):
    """Where numbers for monitoring go. A receiver that is down or wrong never fails what is measured."""

    def send(self, samples: Sequence[Sample]) -> bool:
        """Everything that one command has to tell, at once. False when it is known not to have arrived. Never raises."""
        ...


class WorkQueue(Protocol):
    """Where work items go (``core.work``). Whatever takes them out may get each of them more than once, and in any order."""

    def send(self, texts: Sequence[str]) -> None:
        """Put each text in the queue as one message. Retryable, Denied; some of them may have got there all the same."""
        ...


class Bell(Protocol):
    """Messages that say: look, there may be something new. What else they say is not read, for anybody may have sent them."""

    def wait(self) -> Sequence[str]:
        """Wait some seconds for messages, and tell by what to acknowledge those that came. Retryable, Denied, Misconfigured."""
        ...

    def acknowledge(self, receipts: Sequence[str]) -> None:
        """These need not come again. Raises the same; what is not acknowledged comes again."""
        ...

    def close(self) -> None:
        """End its connections: nothing is asked afterwards."""
        ...


class Signer(Protocol):
    """Signs what nodes obey. The key stays where it is; nodes know its public half by ``key_id``."""

    @property
    def key_id(self) -> str:
        """Which of the keys that the nodes know checks what this one signs."""
        ...

    def sign(self, payload: bytes) -> bytes:
        """The Ed25519 signature, 64 bytes; the same for the same bytes."""
        ...


class Clock(Protocol):
    """Where time comes from. Operations ask once and hand it on."""

    def now(self) -> float:
        """UTC, epoch seconds."""
        ...

    def running(self) -> float:
        """Seconds since boot, suspend included (CLOCK_BOOTTIME); for durations and deadlines."""
        ...

    def boot_id(self) -> str:
        """Names this boot of this machine; two values of ``running`` compare only within one."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait."""
        ...
