"""From the settings to a store: every option that is about libcloud finds its place here, and only here."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from pathlib import Path

from libcloud.storage.base import StorageDriver
from libcloud.storage.providers import get_driver

from backupstore.errors import Misconfigured
from backupstore.ports import Clock
from backupstore.settings import Settings
from backupstore.settings.storage import StorageSettings
from backupstore.stores.answers import unreadable_key_file
from backupstore.stores.bandwidth import Bandwidth
from backupstore.stores.http.retry import PATIENT, SOON
from backupstore.stores.libcloud.drivers import Access
from backupstore.stores.libcloud.faults import RAISED
from backupstore.stores.libcloud.store import LibcloudStore

_READ_TIMEOUT = 60.0
_USABLE = frozenset(
    {
        "auroraobjects",
        "cloudfiles",
        "digitalocean_spaces",
        "ktucloud",
        "minio",
        "openstack_swift",
        "ovh",
        "scaleway",
    }
)
"""Drivers that list all there is, in order, and read by ranges: what others do not do cannot be made up for."""
_OTHERWISE = {
    "aliyun_oss": (
        "its driver cannot stream what it downloads",
        "s3_compatible, with the provider's S3 endpoint in host",
    ),
    "azure_blobs": ("this program has a store of its own for it", "azure_blobs"),
    "backblaze_b2": ("its driver lists the first page only", "s3_compatible, with the provider's S3 endpoint in host"),
    "google_storage": ("this program has a store of its own for it", "google_storage"),
    "local": ("this program has a store of its own for it", "local"),
    "s3": ("this program has a store of its own for it", "s3, or s3_rgw or s3_compatible with host"),
}
_FORM = (
    'key_file holds one JSON object: what libcloud\'s driver takes, such as {"key": "USER", "secret": "PASSWORD"};'
    " docs/guides/libcloud.md has an example for each kind."
)


def configured(settings: Settings, clock: Clock, *, patient: bool = True) -> LibcloudStore:
    """The store that is described. Nothing is asked of it yet, but a driver may log in.

    Misconfigured when libcloud's driver cannot be used, a store of ours does it better, or the driver does not take what
    ``key_file`` holds.
    """
    storage = settings.storage
    for name, value in (
        ("kms_id", storage.kms_id),
        ("sse_c_key", storage.sse_c_key),
        ("storage_class", storage.storage_class),
    ):
        if value is not None:
            raise Misconfigured(
                (f"[storage] {name}: libcloud has no common way to say it.",),
                hint="Leave it out; set it on the container.",
            )
    cap = storage.transfer_max_bandwidth
    return LibcloudStore(
        access_of(settings),
        clock,
        bandwidth=Bandwidth(cap, clock) if cap else None,
        patience=PATIENT if patient else SOON,
    )


def access_of(settings: Settings) -> Access:
    """Which driver, and with what arguments."""
    storage = settings.storage
    provider = storage.storage_provider.removeprefix("libcloud_")
    make = _driver(storage, provider)
    arguments = {**_arguments(storage.key_file), **_place(storage, make)}
    try:
        inspect.signature(make).bind(**arguments)
    except TypeError as error:
        raise Misconfigured(
            (f"[storage] key_file = {storage.key_file}: libcloud's driver for {provider} says: {error}.",), hint=_FORM
        ) from error
    return Access(
        provider=provider,
        make=make,
        arguments=arguments,
        container=storage.bucket_name,
        timeout=float(storage.read_timeout or _READ_TIMEOUT),
        ca_file=settings.shipper.ca_file,
    )


def _driver(storage: StorageSettings, provider: str) -> Callable[..., StorageDriver]:
    said = f"[storage] storage_provider = {storage.storage_provider}"
    why, instead = _OTHERWISE.get("s3" if provider.startswith("s3_") else provider, ("", ""))
    if why:
        raise Misconfigured((f"{said}: {why}.",), hint=f"Use storage_provider = {instead}.")
    if provider not in _USABLE:
        known = ", ".join(f"libcloud_{name}" for name in sorted(_USABLE))
        raise Misconfigured(
            (f"{said}: is none that can be used.",),
            hint=f"Use one of {known}; or s3_compatible, if the provider has an S3 endpoint.",
        )
    try:
        return get_driver(provider)
    except (*RAISED, ImportError) as error:
        raise Misconfigured(
            (f"[storage] storage_provider = {storage.storage_provider}: libcloud's driver cannot be loaded: {error}.",),
            hint="The driver may need another package.",
        ) from error


def _place(storage: StorageSettings, make: Callable[..., StorageDriver]) -> dict[str, object]:
    """What ``medusa.ini`` says of it, as far as the driver takes it."""
    given = {
        "host": storage.host,
        "port": storage.port,
        "secure": storage.secure,
        "region": None if storage.region == "default" else storage.region,
    }
    known = inspect.signature(make).parameters
    takes_all = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in known.values())
    return {name: value for name, value in given.items() if value is not None and (name in known or takes_all)}


def _arguments(file: Path | None) -> dict[str, object]:
    if file is None:
        raise Misconfigured(("[storage] key_file is not set: libcloud's driver needs its key.",), hint=_FORM)
    try:
        document = json.loads(file.read_bytes())
    except PermissionError as error:
        raise unreadable_key_file(file) from error
    except OSError as error:
        raise Misconfigured((f"[storage] key_file = {file}: {error.strerror or error}.",), hint=_FORM) from error
    except (ValueError, RecursionError) as error:
        raise Misconfigured((f"[storage] key_file = {file}: it is no JSON.",), hint=_FORM) from error
    if not isinstance(document, dict) or "key" not in document:
        raise Misconfigured((f"[storage] key_file = {file}: it is no JSON object with a key.",), hint=_FORM)
    return document
