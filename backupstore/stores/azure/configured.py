"""From the settings to a store: every option that is about Azure finds its place here, and only here."""

from __future__ import annotations

from urllib.parse import urlsplit

from backupstore.errors import Misconfigured
from backupstore.ports import Clock
from backupstore.settings import Settings
from backupstore.settings.storage import StorageSettings
from backupstore.stores.azure.options import Storing
from backupstore.stores.azure.place import PUBLIC, Place, at_azure, own
from backupstore.stores.azure.signing import account_key
from backupstore.stores.azure.store import AzureStore
from backupstore.stores.http.configured import wire_of

_TIERS = {"HOT": "Hot", "COOL": "Cool", "COLD": "Cold"}
_ENCRYPTION = (
    "Leave it out; name a key of Key Vault, or an encryption scope, as the default of the account or the container."
)


def configured(settings: Settings, clock: Clock, *, patient: bool = True) -> AzureStore:
    """The store that is described. Nothing is asked of it yet. ``patient``: it outlives a minute of trouble.

    Misconfigured when ``key_file`` cannot be used, or an option asks for what Azure has not; Denied when it may not be read.
    """
    storage = settings.storage
    storing = Storing(tier=_tier(storage))
    for name, value in (("kms_id", storage.kms_id), ("sse_c_key", storage.sse_c_key)):
        if value is not None:
            raise Misconfigured(
                (f"[storage] {name}: at Azure no key of encryption goes with each request.",), hint=_ENCRYPTION
            )
    key = account_key(storage.key_file)
    place = place_of(storage, key.account)
    return AzureStore(place, key, clock, wire=wire_of(settings, place, clock, patient=patient), storing=storing)


def place_of(storage: StorageSettings, account: str) -> Place:
    """At Azure, in the cloud of the domain that ``host`` names; a URL is that of a server of one's own.

    Misconfigured when it is no address.
    """
    host = storage.host or PUBLIC
    if "://" not in host:
        return at_azure(account, storage.bucket_name, host, storage.port)
    try:
        url = urlsplit(host)
        if url.scheme in {"http", "https"} and url.hostname and url.path in {"", "/"}:
            port = url.port or storage.port
            return own(account, storage.bucket_name, url.hostname, port, secure=url.scheme == "https")
    except ValueError:  # its port is no number
        pass
    raise Misconfigured(
        (f"[storage] host = {storage.host}: is no address of a server.",),
        hint="Leave it out; or name the domain of another cloud, such as chinacloudapi.cn, or the URL of an emulator:"
        " http://name:port.",
    )


def _tier(storage: StorageSettings) -> str | None:
    name = storage.storage_class
    if name is None or name in _TIERS:
        return None if name is None else _TIERS[name]
    raise Misconfigured(
        (f"[storage] storage_class = {name}: backups are not kept there at Azure, allowed: hot, cool, cold.",),
        hint="In the archive tier nothing can be read without asking hours before. Leave it out for the account's default.",
    )
