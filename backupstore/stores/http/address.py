"""Where a store is: what connections, proxies and errors have to know of it."""

from __future__ import annotations

from typing import Protocol

_HTTP, _HTTPS = 80, 443


class Address(Protocol):
    """Where to connect to. As a text: what an operator knows it by."""

    @property
    def host(self) -> str:
        """A name, or the digits of an address."""
        ...

    @property
    def port(self) -> int:
        """Of TCP."""
        ...

    @property
    def secure(self) -> bool:
        """Whether by TLS."""
        ...

    @property
    def authority(self) -> str:
        """Host, and port where it is not the usual one: the Host header."""
        ...


def usual_port(*, secure: bool) -> int:
    """Where servers listen that nobody says otherwise of."""
    return _HTTPS if secure else _HTTP


def authority_of(host: str, port: int, *, secure: bool) -> str:
    """The Host header."""
    bracketed = f"[{host}]" if ":" in host else host
    return bracketed if port == usual_port(secure=secure) else f"{bracketed}:{port}"
