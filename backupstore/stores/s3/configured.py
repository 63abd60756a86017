"""From the settings to a store: every option that is about S3 finds its place here, and only here."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

from backupstore.errors import Misconfigured
from backupstore.ports import Clock
from backupstore.settings import Settings
from backupstore.settings.providers import OWN_ENDPOINT
from backupstore.settings.storage import StorageSettings
from backupstore.stores.http import configured as http
from backupstore.stores.http.pool import Wire
from backupstore.stores.s3.credentials import BotocoreKeys, bundle_of
from backupstore.stores.s3.endpoint import Endpoint, Style, amazon, own
from backupstore.stores.s3.options import Encryption, Storing
from backupstore.stores.s3.store import S3Store


def configured(settings: Settings, clock: Clock, *, patient: bool = True) -> S3Store:
    """The store that is described. Nothing is asked of it yet. ``patient``: it outlives a minute of trouble.

    Misconfigured when options contradict each other, or a file that one names cannot be used.
    """
    storage = settings.storage
    endpoint = endpoint_of(storage)
    return S3Store(
        endpoint,
        BotocoreKeys(clock, profile=storage.api_profile, key_file=storage.key_file),
        clock,
        wire=wire_of(settings, endpoint, clock, patient=patient),
        storing=storing_of(settings),
    )


def endpoint_of(storage: StorageSettings) -> Endpoint:
    """Amazon's for ``s3`` and the old names of regions, unless ``host`` names another; else ``host`` and ``port``."""
    style, region = cast("Style", storage.s3_addressing_style), storage.s3_region
    if storage.host is None:
        return amazon(storage.bucket_name, region, style=style)
    address = (storage.host, storage.port)
    return own(storage.bucket_name, region, address, secure=storage.secure, style=style)


def wire_of(settings: Settings, endpoint: Endpoint, clock: Clock, *, patient: bool = True) -> Wire:
    """How to connect. Amazon's certificate is always checked, as stock does it; others where it is wanted."""
    storage, ca_file = settings.storage, settings.shipper.ca_file
    return replace(
        http.wire_of(settings, endpoint, clock, patient=patient),
        verify=storage.ssl_verify or ca_file is not None or storage.provider not in OWN_ENDPOINT,
        ca_file=ca_file or bundle_of(storage.api_profile, storage.key_file),
    )


def storing_of(settings: Settings) -> Storing:
    """How objects are stored and moved. Misconfigured when they were to be encrypted in two ways."""
    storage = settings.storage
    return Storing(
        storage_class=storage.storage_class,
        encryption=_encryption(settings),
        threshold=storage.multi_part_upload_threshold,
        part_size=storage.multipart_chunksize,
        parts_at_once=storage.multipart_max_concurrency,
    )


def _encryption(settings: Settings) -> Encryption:
    storage, by_store = settings.storage, settings.shipper.server_side_encryption is not None
    ways = {
        "[storage] kms_id": storage.kms_id is not None,
        "[storage] sse_c_key": storage.sse_c_key is not None,
        "[shipper] server_side_encryption": by_store,
    }
    wanted = [name for name, is_wanted in ways.items() if is_wanted]
    if len(wanted) > 1:
        raise Misconfigured(
            (f"{' and '.join(wanted)}: objects are encrypted in one way only.",),
            hint="Keep the one with which the bucket's objects are encrypted, and take the others out.",
        )
    return Encryption(kms_id=storage.kms_id, customer_key=storage.sse_c_key, by_store=by_store)
