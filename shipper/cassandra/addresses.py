"""Under which addresses the node beside us answers: cassandra.yaml names them, leaves them out, or names an interface.

For CQL it is ``rpc_address``; where that is the wildcard, any address will do, and the one for other nodes is taken.
Cassandra resolves a missing address by the machine's own name, and so do we.
"""

from __future__ import annotations

import fcntl
import ipaddress
import socket
import struct
from pathlib import Path
from typing import NoReturn

from backupstore.errors import Misconfigured
from shipper.cassandra.configuration import Configuration, Listening
from shipper.cassandra.wire import Address

_SIOCGIFADDR = 0x8915
_IPV6_ADDRESSES = Path("/proc/net/if_inet6")


def storage_address(configuration: Configuration) -> Address:
    """Where other nodes reach this one."""
    return Address(_storage_host(configuration.listening), configuration.ports.storage)


def cql_address(configuration: Configuration, *, tls: bool) -> Address:
    """Where clients on this machine reach it."""
    listening = configuration.listening
    host = _host(listening.rpc_address, listening.rpc_interface, prefer_ipv6=listening.prefer_ipv6)
    if _is_wildcard(host):
        host = _storage_host(listening)
    return Address(host, configuration.ports.cql(tls=tls))


def all_addresses(configuration: Configuration) -> tuple[Address, ...]:
    """Every port that Cassandra may have open for clients and nodes."""
    cql, storage, ports = cql_address(configuration, tls=False), storage_address(configuration), configuration.ports
    found = [cql, storage]
    found += [Address(cql.host, ports.native_tls)] if ports.native_tls else []
    found += [Address(storage.host, ports.storage_tls)] if ports.storage_tls else []
    return tuple(found)


def _storage_host(listening: Listening) -> str:
    return _host(listening.listen_address, listening.listen_interface, prefer_ipv6=listening.prefer_ipv6)


def _host(address: str, interface: str, *, prefer_ipv6: bool) -> str:
    if address:
        return address
    return of_interface(interface, prefer_ipv6=prefer_ipv6) if interface else _own_host()


def _own_host() -> str:
    name = socket.gethostname()
    try:
        return str(socket.getaddrinfo(name, None)[0][4][0])
    except OSError:
        _refuse(f"neither an address is set nor has this machine's name, {name}, one in DNS or /etc/hosts")


def _is_wildcard(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def of_interface(name: str, *, prefer_ipv6: bool = False) -> str:
    """The first address of a network interface, IPv6 only where that is preferred or nothing else is there."""
    known = (_ipv6(name), _ipv4(name)) if prefer_ipv6 else (_ipv4(name), _ipv6(name))
    found = next((address for address in known if address), "")
    return found or _refuse(f"the network interface {name!r} is not there or has no address")


def _ipv4(name: str) -> str:
    request = struct.pack("16s16x", name.encode()[:15])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            answer = fcntl.ioctl(probe.fileno(), _SIOCGIFADDR, request)
        except OSError:
            return ""
    return socket.inet_ntoa(answer[20:24])


def _ipv6(name: str) -> str:
    try:
        lines = _IPV6_ADDRESSES.read_text(encoding="ascii").splitlines()
    except OSError:
        return ""
    rows = [line.split() for line in lines]
    return next((str(ipaddress.IPv6Address(bytes.fromhex(row[0]))) for row in rows if row[-1] == name), "")


def _refuse(why: str) -> NoReturn:
    raise Misconfigured(
        (f"The address of the Cassandra node cannot be told: {why}.",),
        hint="Set listen_address and rpc_address in cassandra.yaml.",
    )
