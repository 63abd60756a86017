"""From the settings to a store: every option that is about Google's finds its place here, and only here."""

from __future__ import annotations

from urllib.parse import urlsplit

from backupstore.errors import Misconfigured
from backupstore.ports import Clock
from backupstore.settings import Settings
from backupstore.settings.storage import StorageSettings
from backupstore.stores.gcs.options import Storing
from backupstore.stores.gcs.place import Place, own
from backupstore.stores.gcs.store import GcsStore
from backupstore.stores.gcs.tokens import GoogleTokens, NoTokens, Tokens
from backupstore.stores.http.configured import wire_of


def configured(settings: Settings, clock: Clock, *, patient: bool = True) -> GcsStore:
    """The store that is described. Nothing is asked of it yet. ``patient``: it outlives a minute of trouble.

    Misconfigured when a file that an option names cannot be used, or objects were to be encrypted in another way.
    """
    storage = settings.storage
    if storage.sse_c_key is not None:
        raise Misconfigured(
            ("[storage] sse_c_key: objects at Google are not encrypted with a key that goes with each request.",),
            hint="Name a key of Cloud KMS in kms_id, or leave both out: Google encrypts with keys of its own then.",
        )
    place = place_of(storage)
    return GcsStore(
        place,
        tokens_for(storage, place),
        clock,
        wire=wire_of(settings, place, clock, patient=patient),
        storing=Storing(storage_class=storage.storage_class, kms_key=storage.kms_id),
    )


def place_of(storage: StorageSettings) -> Place:
    """At Google, unless ``host`` names another server or a private way to Google's. Misconfigured when it is no address."""
    if storage.host is None:
        return Place(storage.bucket_name)
    if "://" not in storage.host:
        return own(storage.bucket_name, storage.host, storage.port, secure=storage.secure)
    try:
        url = urlsplit(storage.host)
        if url.scheme in {"http", "https"} and url.hostname and url.path in {"", "/"}:
            return own(storage.bucket_name, url.hostname, url.port or storage.port, secure=url.scheme == "https")
    except ValueError:  # its port is no number
        pass
    raise Misconfigured(
        (f"[storage] host = {storage.host}: is no address of a server.",),
        hint="Give a name, or a URL of the form http://name:port. STORAGE_EMULATOR_HOST sets it as well.",
    )


def tokens_for(storage: StorageSettings, place: Place) -> Tokens:
    """Whose tokens. An emulator without TLS is shown those that were meant for it, and not this machine's."""
    if not place.secure and storage.key_file is None:
        return NoTokens()
    return GoogleTokens(storage.key_file)
