"""What a bucket, a directory or a timer tells us, in one shape; and which node backups, or jobs, to look at because of it.

An event is a hint: it may come late, twice, out of order or never, and anybody who can write a key can cause one. So
nothing but the key is used, and only to learn *where to look*: no size, no ETag, no sequencer, each of which some sender
leaves out or writes in a way of its own. Each kind of host turns its own messages into ``ObjectEvent``: a directory
here, what speaks S3 in ``notifications``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from backupstore.core.key_parsing import job_key, parse
from backupstore.core.keys import AnnouncedKey, MetaKey, OwnKey, RowKey
from backupstore.core.layout import NODE_DATA_FOLDERS

Kind = Literal["created", "removed"]
CLUSTER = ""
"""The node of a subject that is a cluster backup as a whole: what was found about it, and none of its node backups."""
_LONGEST = 255  # bytes of one name; with three of them, every key that an indexer asks for is one that stores take


@dataclass(frozen=True, slots=True)
class ObjectEvent:
    """Something happened to an object."""

    kind: Kind
    key: str


class Subject(NamedTuple):
    """One node backup that deserves a look. ``prefix`` is empty where there is none, ``node`` may be ``CLUSTER``."""

    prefix: str
    node: str
    backup: str


def subjects(events: Iterable[ObjectEvent]) -> frozenset[Subject]:
    """The node backups that these events speak of; each once. Keys that speak of none are ignored, hostile ones too.

    Announcements are enough for what our shippers write, stock's index rows for what stock writes: a host that can only
    filter by prefix watches these. Everything in a node backup's meta folder counts as well, removals among it.
    """
    found = (_subject(event.key) for event in events)
    return frozenset(subject for subject in found if subject is not None)


def clusters_with_news(events: Iterable[ObjectEvent]) -> frozenset[str]:
    """The prefixes of the clusters about whose jobs an operator or a node has said something.

    What a coordinator itself writes is no news: it would look because it has looked, without an end.
    """
    found = (_cluster_with_news(event.key) for event in events if event.kind == "created")
    return frozenset(prefix for prefix in found if prefix is not None)


def from_directory(path: str, kind: Kind) -> ObjectEvent:
    """A change of a file; ``path`` is relative to the bucket's directory, with slashes."""
    return ObjectEvent(kind, path.removeprefix("./"))


def _subject(key: str) -> Subject | None:
    parsed = parse(key)
    if parsed is None:
        return None
    if isinstance(parsed.key, OwnKey) and parsed.key.area == "findings":
        subject = Subject(parsed.prefix, CLUSTER, parsed.key.rest.partition("/")[0])
    elif isinstance(parsed.key, AnnouncedKey | MetaKey | RowKey):
        subject = Subject(parsed.prefix, parsed.key.node, parsed.key.backup)
    else:
        return None
    # A table directory called "meta" makes a data key look like one of a node backup.
    if NODE_DATA_FOLDERS & {subject.node, subject.backup} or not all(_is_storable(name) for name in subject):
        return None
    return subject


def _cluster_with_news(key: str) -> str | None:
    parsed = parse(key)
    if parsed is None or job_key(parsed.key) is None or not _is_storable(parsed.prefix):
        return None
    return parsed.prefix


def _is_storable(name: str) -> bool:
    """Whether a store takes keys with this name; otherwise each look at such a subject would fail, for ever."""
    try:
        return len(name.encode()) <= _LONGEST
    except UnicodeEncodeError:  # JSON can say half a character
        return False
