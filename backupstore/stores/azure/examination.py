"""``stores.examination`` of a container at Azure.

Rules and versions are told by Azure's management service only, for which the key of a storage account is no credential:
asked for them, this says Denied, and whoever asks says that nobody has looked.
"""

from __future__ import annotations

from backupstore.errors import Denied
from backupstore.ports import Clock
from backupstore.stores.azure.blocks import BlockUpload
from backupstore.stores.azure.client import Client
from backupstore.stores.azure.listing import Listing
from backupstore.stores.azure.uploads import NEW
from backupstore.stores.examination import Rule, Unfinished
from backupstore.stores.http.faults import Unmet
from backupstore.stores.http.times import skew
from backupstore.stores.sources import BytesSource


class AzureExamination:
    """Questions to one container."""

    def __init__(self, client: Client, listing: Listing, clock: Clock) -> None:
        self._client = client
        self._listing = listing
        self._clock = clock

    def skew(self, folder: str) -> float:
        """By the Date of an answer."""
        return skew(self._clock, lambda: self._client.send(self._listing.ask("examine", folder, most=1)))

    def creates_in_parts(self, key: str) -> bool:
        """One byte is a block."""
        upload = BlockUpload(self._client, "examine", key, 1, 1)
        upload.send(BytesSource(b"x"))
        try:
            self._client.send(upload.commit(NEW))
        except Unmet:
            return True
        return False

    def unfinished(self, folder: str) -> Unfinished:  # noqa: ARG002 -- as the other stores are asked
        """None that would stay for longer than a week."""
        return Unfinished(0, 0.0)

    def lifecycle(self) -> tuple[Rule, ...]:
        """Nobody knows."""
        raise _elsewhere("lifecycle rules")

    def versioning(self) -> str:
        """Nobody knows."""
        raise _elsewhere("versioning and soft delete")

    def lock_days(self) -> str:
        """Nobody knows."""
        raise _elsewhere("immutability")


def _elsewhere(what: str) -> Denied:
    return Denied(
        f"Azure tells {what} to its management service only.",
        hint="Look at the storage account in the portal, or by az storage account management-policy show.",
        operation="examine",
    )
