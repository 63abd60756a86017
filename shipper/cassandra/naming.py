"""What nodes are called in the bucket: our own name (F), and the names of the ring's members.

A backup is complete when each name in a tokenmap has its backup, so the name that a node gives itself and the one that
others find for its address must be the same bytes. As stock: ``[storage] fqdn`` if it is set, taken as it stands; else
the machine's address by its own full name, and of an address the host name in DNS, or the address itself where
``resolve_ip_addresses`` is off. DNS is asked once per address.
"""

from __future__ import annotations

import functools
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from backupstore.errors import Misconfigured


class Lookup(Protocol):
    """The parts of name resolution that are used."""

    def own(self) -> str:
        """The full name of this machine."""
        ...

    def address(self, name: str) -> str:
        """An address of a name; OSError when it has none."""
        ...

    def name(self, address: str) -> str:
        """The full name that belongs to an address, or the address when it has none."""
        ...


class SystemLookup:
    """What the machine's resolver says: /etc/hosts, DNS."""

    def own(self) -> str:
        """The full name of this machine."""
        return socket.getfqdn()

    def address(self, name: str) -> str:
        """The IPv4 address if there is one, as stock looks for it first."""
        try:
            return socket.gethostbyname(name)
        except UnicodeError as error:  # a label of more than 63 characters, or an empty one
            raise OSError(f"{name!r} is no name in DNS") from error
        except OSError:
            return str(socket.getaddrinfo(name, None)[0][4][0])

    def name(self, address: str) -> str:
        """The full name that belongs to an address, or the address when it has none."""
        try:
            return socket.getfqdn(address)
        except UnicodeError:
            return address


def resolver(*, resolve: bool, lookup: Lookup | None = None) -> Callable[[str], str]:
    """From addresses to names. Each address is asked for once, so that one run has one answer."""
    if not resolve:
        return str
    return functools.cache((lookup or SystemLookup()).name)


@dataclass(frozen=True, slots=True)
class Naming:
    """How this node names itself and others. ``fqdn`` is empty where it is not configured."""

    fqdn: str = ""
    resolve: bool = True
    lookup: Lookup = field(default_factory=SystemLookup)

    def own(self) -> str:
        """Our own name. Works while Cassandra is down. Misconfigured when the machine does not know its address."""
        if self.fqdn:
            return self.fqdn
        machine = self.lookup.own()
        try:
            address = self.lookup.address(machine)
        except OSError as error:
            raise Misconfigured(
                (f"This machine's own name, {machine}, has no address in DNS or /etc/hosts.",),
                hint="Set 'fqdn' in the [storage] section of medusa.ini to the name this node has in the bucket.",
            ) from error
        return resolver(resolve=self.resolve, lookup=self.lookup)(address)

    def ring(self, own_host_id: str) -> Callable[[str, str], str]:
        """From a member's host id and address to its name. A configured name is the own member's, whatever DNS says."""
        name_of = resolver(resolve=self.resolve, lookup=self.lookup)
        return lambda host_id, address: self.fqdn if self.fqdn and host_id == own_host_id else name_of(address)
