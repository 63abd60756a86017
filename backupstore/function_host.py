"""What every scheduled function has, whatever the cloud: a log, and the clusters that one call of it is about."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from backupstore.core import names
from backupstore.errors import BackupError, Corrupt
from backupstore.operations.reconcile import prefixes
from backupstore.ports import Clock, ObjectStore
from backupstore.settings import Settings
from backupstore.stores.deadline import DeadlineStore


class Log(Protocol):
    """The logger of a cloud; ``extra`` becomes fields of the line."""

    def info(self, msg: object, *args: object, extra: Mapping[str, object] | None = None) -> None:
        """For whoever reads along."""
        ...

    def warning(self, msg: object, *args: object, extra: Mapping[str, object] | None = None) -> None:
        """Something is left as it is."""
        ...

    def error(self, msg: object, *args: object, extra: Mapping[str, object] | None = None) -> None:
        """Somebody should look."""
        ...


def details(error: BackupError) -> dict[str, str]:
    """What a line of the log says of an error beside its message."""
    return {"error": type(error).__name__, "hint": error.hint, "operation": error.operation, "key": error.key}


def clusters(
    settings: Settings,
    store: ObjectStore,
    prefix: str | None,
    find: Callable[[ObjectStore], tuple[str, ...]] = prefixes,
) -> tuple[str, ...]:
    """The prefixes of what is served, ``find`` telling which there are; a timer may ask for one of them.

    Corrupt when it asks for one that is not served.
    """
    ours = settings.storage.prefix
    if prefix is not None and (ours not in {None, prefix} or names.prefix_problems(prefix)):
        raise Corrupt(
            f"A timer asks for the cluster {prefix}, which this function does not serve.",
            hint="Look at the timer's input, and at MEDUSA_STORAGE_PREFIX.",
            operation="timer",
        )
    chosen = prefix if ours is None else ours
    return find(store) if chosen is None else (chosen,)


def named(cluster: str) -> str:
    """As the log says it."""
    return f"cluster {cluster}" if cluster else "the cluster"


def until(store: ObjectStore, clock: Clock, seconds: float) -> ObjectStore:
    """The store for so many seconds from now."""
    return DeadlineStore(store, clock, clock.running() + seconds)


def raise_first(log: Log, what: str, troubles: Mapping[str, BackupError]) -> None:
    """Tell what went wrong with which cluster, and raise the first of it; nothing where nothing went wrong."""
    for cluster, trouble in troubles.items():
        log.error("%s of %s: %s", what, named(cluster), trouble.message, extra=details(trouble))
    for trouble in troubles.values():
        raise trouble
