"""From settings to ports. The only place where stores are chosen; an SDK is imported in the branch that needs it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Protocol, runtime_checkable

from backupstore.clock import SystemClock
from backupstore.core.layout import Layout
from backupstore.errors import Denied, Misconfigured
from backupstore.ports import Bell, Metrics, ObjectStore
from backupstore.settings import Settings
from backupstore.settings.providers import OWN_ENDPOINT
from backupstore.settings.storage import StorageSettings
from backupstore.stores.bandwidth import Bandwidth
from backupstore.stores.local import LocalStore
from backupstore.stores.local_capped import CappedLocalStore

_DAY = 86_400.0
_S3 = frozenset({"s3", *OWN_ENDPOINT})


def open_store(settings: Settings, *, patient: bool = True) -> ObjectStore:
    """The bucket. Misconfigured when the store for the provider is not installed, or cannot be made of the settings.

    ``patient``: trouble of the store is waited out, for a minute and more; else it is told soon.
    """
    storage = settings.storage
    if storage.provider == "local" and storage.base_path is not None:
        base, cap = storage.base_path / storage.bucket_name, storage.transfer_max_bandwidth
        return CappedLocalStore(base, Bandwidth(cap, SystemClock())) if cap else LocalStore(base)
    if storage.provider in _S3:
        return _s3(settings, patient=patient)
    if storage.provider == "google_storage":
        return _gcs(settings, patient=patient)
    if storage.provider == "azure_blobs":
        from backupstore.stores.azure.configured import configured

        return configured(settings, SystemClock(), patient=patient)
    if storage.provider == "libcloud":
        return _libcloud(settings, patient=patient)
    raise Misconfigured(
        ("[storage] base_path is missing; the provider 'local' needs the directory that holds the buckets.",),
        hint="Set base_path to a directory on a mount that all nodes share.",
    )


def _s3(settings: Settings, *, patient: bool) -> ObjectStore:
    try:
        from backupstore.stores.s3.configured import configured
    except ImportError as error:
        raise Misconfigured(
            (f"[storage] storage_provider = {settings.storage.storage_provider}: {error.name} is not installed.",),
            hint="pip install '.[s3]'",
        ) from error
    return configured(settings, SystemClock(), patient=patient)


def _gcs(settings: Settings, *, patient: bool) -> ObjectStore:
    try:
        from backupstore.stores.gcs.configured import configured
    except ImportError as error:
        raise Misconfigured(
            (f"[storage] storage_provider = google_storage: {error.name} is not installed.",),
            hint="pip install '.[gcs]'",
        ) from error
    return configured(settings, SystemClock(), patient=patient)


def _libcloud(settings: Settings, *, patient: bool) -> ObjectStore:
    try:
        from backupstore.stores.libcloud.configured import configured
    except ImportError as error:
        raise Misconfigured(
            (f"[storage] storage_provider = {settings.storage.storage_provider}: {error.name} is not installed.",),
            hint="pip install '.[libcloud]'. Functions have no such store: where conditional writes are missing, one single"
            " 'serve' keeps the list.",
        ) from error
    return configured(settings, SystemClock(), patient=patient)


def open_metrics(
    settings: Settings, environ: Mapping[str, str], *, say: Callable[[str], None], warn: Callable[[str], None]
) -> Metrics:
    """Where ``[monitoring]`` sends metrics. ``say`` takes those that go into the log, ``warn`` what keeps the others back.

    Misconfigured when the provider needs a library that is not installed.
    """
    from backupstore.metrics.dogstatsd import DogStatsd
    from backupstore.metrics.ffwd import Ffwd
    from backupstore.metrics.local import Lines, Nowhere

    monitoring = settings.monitoring
    match monitoring.monitoring_provider:
        case "dog-statsd":
            return DogStatsd(environ, warn, with_backup_name=monitoring.send_backup_name_tag)
        case "ffwd":
            return Ffwd(warn)
        case "local":
            return Lines(say)
        case "prometheus":
            from backupstore.metrics.prometheus import Textfiles

            return Textfiles(settings.shipper.textfile_directory, warn)
        case "cloudwatch" | "cloud-monitoring" as cloud:
            return _in_the_cloud(cloud, environ, warn)
    return Nowhere()


def _in_the_cloud(provider: str, environ: Mapping[str, str], warn: Callable[[str], None]) -> Metrics:
    try:
        if provider == "cloudwatch":
            from backupstore.metrics.cloudwatch import CloudWatch

            return CloudWatch(environ, warn)
        from backupstore.metrics.cloud_monitoring import CloudMonitoring

        return CloudMonitoring(SystemClock(), warn)
    except ImportError as error:
        extra = "aws" if provider == "cloudwatch" else "gcp"
        raise Misconfigured(
            (f"[monitoring] monitoring_provider = {provider}: {error.name} is not installed.",),
            hint=f"pip install '.[{extra}]'",
        ) from error


def open_bell(settings: Settings, queue: str) -> Bell:
    """What rings where ``queue``, the ``command_queue``, is. Misconfigured when a library is missing, or credentials are.

    The keys of ``[storage]`` are shown to the queue where both are of one cloud; else those that are found on the machine.
    """
    storage = settings.storage
    is_google = queue.startswith("projects/")
    try:
        if is_google:
            from backupstore.queues.pubsub_bell import PubSubBell

            return PubSubBell(queue, storage.key_file if storage.provider == "google_storage" else None)
        from backupstore.queues.sqs_bell import SqsBell
        from backupstore.stores.s3.credentials import session_of

        is_amazon = storage.provider == "s3" and storage.host is None
        return SqsBell(
            queue, session_of(storage.api_profile, storage.key_file) if is_amazon else session_of(None, None)
        )
    except ImportError as error:
        raise Misconfigured(
            (f"[shipper] command_queue = {queue}: {error.name} is not installed.",),
            hint=f"pip install '.[{'gcp' if is_google else 's3'}]'",
        ) from error


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
    # The same name in another account is another bucket, and the account stands in that file.
    account = (str(storage.key_file or ""),) if storage.provider in {"azure_blobs", "libcloud"} else ()
    return "|".join((*parts, *account))


@runtime_checkable
class _Remote(Protocol):
    """What stores beyond this machine can do beside the port."""

    def look(self) -> None: ...

    def sweep_uploads(self, older_than: float) -> int: ...


def check_bucket(store: ObjectStore) -> None:
    """NotFound when the bucket itself is not there, which must not be taken for a bucket without backups."""
    if isinstance(store, LocalStore):
        if not store.exists():
            raise store.missing()
    elif isinstance(store, _Remote):
        with suppress(Denied):  # who may not list the whole bucket may still see a prefix of it
            store.look()


def sweep_unfinished(store: ObjectStore, now: float) -> int:
    """Remove what killed writers left in the bucket a day ago or earlier, where the store does not do so itself."""
    if isinstance(store, LocalStore):
        return store.sweep_incoming(now - _DAY)
    return store.sweep_uploads(now - _DAY) if isinstance(store, _Remote) else 0


def make_bucket(store: ObjectStore, *, used_before: bool = False) -> None:
    """Make sure that the bucket is there before it is read for the first time.

    A local bucket is made below an existing ``base_path``. NotFound when this machine has used it before: then its
    file system is not mounted, and a new directory would fill the disk below the mount point.
    """
    if isinstance(store, LocalStore) and not store.exists():
        if used_before:
            raise store.missing()
        store.make()
