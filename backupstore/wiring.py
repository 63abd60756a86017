"""From settings to ports. The only place where stores are chosen; an SDK is imported in the branch that needs it."""

from __future__ import annotations

from backupstore.core.layout import Layout
from backupstore.errors import Misconfigured
from backupstore.ports import ObjectStore
from backupstore.settings import Settings
from backupstore.settings.storage import StorageSettings
from backupstore.stores.local import LocalStore

_DAY = 86_400.0


def open_store(settings: Settings) -> ObjectStore:
    """The bucket. Misconfigured when there is no store for the provider in this version."""
    storage = settings.storage
    if storage.provider == "local" and storage.base_path is not None:
        return LocalStore(storage.base_path / storage.bucket_name)
    raise Misconfigured(
        (f"[storage] storage_provider = {storage.storage_provider}: this version ships to local buckets only.",),
        hint="Use storage_provider = local with base_path on a mount that all nodes share.",
    )


def layout_of(settings: Settings) -> Layout:
    """The keys of the configured cluster."""
    return Layout(settings.storage.prefix or "")


def bucket_identity(storage: StorageSettings) -> str:
    """Names the bucket and the cluster in it, so that what is remembered of one is never taken for another."""
    parts = (
        storage.storage_provider,
        storage.host or "",
        str(storage.base_path or ""),
        storage.bucket_name,
        storage.prefix or "",
    )
    return "|".join(parts)


def check_bucket(store: ObjectStore) -> None:
    """NotFound when the bucket itself is not there, which must not be taken for a bucket without backups."""
    if isinstance(store, LocalStore) and not store.exists():
        raise store.missing()


def sweep_unfinished(store: ObjectStore, now: float) -> int:
    """Remove what killed writers left in the bucket a day ago or earlier, where the store does not do so itself."""
    return store.sweep_incoming(now - _DAY) if isinstance(store, LocalStore) else 0


def make_bucket(store: ObjectStore, *, used_before: bool = False) -> None:
    """Make sure that the bucket is there before it is read for the first time.

    A local bucket is made below an existing ``base_path``. NotFound when this machine has used it before: then its
    file system is not mounted, and a new directory would fill the disk below the mount point.
    """
    if isinstance(store, LocalStore) and not store.exists():
        if used_before:
            raise store.missing()
        store.make()
