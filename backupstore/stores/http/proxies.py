"""Which proxy the environment names for a server."""

from __future__ import annotations

from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from backupstore.errors import Misconfigured
from backupstore.stores.http.address import Address


def proxy_for(address: Address) -> str | None:
    """The proxy that the environment names for this server, as curl, boto3 and the others read it.

    Misconfigured when it is one that is not spoken here.
    """
    proxies = getproxies()
    found = proxies.get("https" if address.secure else "http") or proxies.get("all")
    if not found or proxy_bypass(f"{address.host}:{address.port}"):
        return None
    url = found if "://" in found else f"http://{found}"
    if not _is_spoken(url):
        raise Misconfigured(
            (f"The proxy that the environment names for {address.authority} is none of the form http://host:port.",),
            hint="Correct http_proxy, https_proxy or all_proxy, or name the endpoint in no_proxy.",
        )
    return url


def _is_spoken(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme == "http" and bool(parts.hostname) and parts.port != 0
    except ValueError:  # its port is no number
        return False
