"""From the settings to a way to connect, as far as it is the same for every store."""

from __future__ import annotations

from backupstore.ports import Clock
from backupstore.settings import Settings
from backupstore.stores.bandwidth import Bandwidth
from backupstore.stores.http.address import Address
from backupstore.stores.http.pool import Wire
from backupstore.stores.http.proxies import proxy_for
from backupstore.stores.http.retry import PATIENT, SOON

_READ_TIMEOUT = 60.0


def wire_of(settings: Settings, address: Address, clock: Clock, *, patient: bool = True) -> Wire:
    """How to connect. Certificates are checked. Misconfigured when the environment names a proxy that is not spoken."""
    storage = settings.storage
    cap = storage.transfer_max_bandwidth
    return Wire(
        ca_file=settings.shipper.ca_file,
        proxy=proxy_for(address),
        read_timeout=float(storage.read_timeout or _READ_TIMEOUT),
        bandwidth=Bandwidth(cap, clock) if cap else None,
        patience=PATIENT if patient else SOON,
    )
