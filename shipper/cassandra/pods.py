"""How pods are called in the bucket, where no ``POD_IP`` says it: by the names that Kubernetes gives their addresses.

A pod's address has one name for each service that it is behind. Those of plain services are the address again, with
dashes; the one of a stateful set begins with the pod's own name, and that is what stock Medusa calls the node.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from backupstore.errors import Misconfigured, NodeTrouble
from shipper.cassandra.naming import SystemLookup

if TYPE_CHECKING:
    from dns.resolver import Resolver


class PodLookup(SystemLookup):
    """``naming.Lookup`` by all names of an address. ``resolver``: whom to ask; None for whom the machine asks."""

    def __init__(self, resolver: Resolver | None = None) -> None:
        self._resolver = resolver

    def name(self, address: str) -> str:
        """The pod's own name, or the address when it has none. NodeTrouble when no name server answers."""
        labels = (name.partition(".")[0] for name in self._names(address))
        return next((label for label in labels if not _is_address(label)), address)

    def _names(self, address: str) -> list[str]:
        try:
            import dns.exception  # noqa: PLC0415 - only needed in Kubernetes
            import dns.resolver  # noqa: PLC0415
        except ImportError as error:
            raise Misconfigured(
                (f"[kubernetes] enabled: the package {error.name} is not installed.",),
                hint="pip install '.[kubernetes]', or set the variable POD_IP to the pod's address.",
            ) from error
        resolver = self._resolver or dns.resolver.Resolver()
        try:
            return [str(record) for record in resolver.resolve_address(address)]
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return []
        except dns.exception.DNSException as error:
            # To go on with the address would give this node another name than it had yesterday.
            raise NodeTrouble(
                f"No name server tells the names of {address}: {error}",
                hint="Check the pod's DNS (kubectl exec … -- cat /etc/resolv.conf), or set POD_IP to its address.",
                operation="name",
            ) from error


def _is_address(label: str) -> bool:
    """10-0-0-5, or an address of IPv6 with dashes."""
    for separator in (".", ":"):
        try:
            ipaddress.ip_address(label.replace("-", separator))
        except ValueError:
            continue
        return True
    return False
