"""A real server that speaks as Azure Blob Storage does, on loopback: Azurite, Microsoft's emulator, from npm.

What it does not do as Azure: it knows no other time of the week than now, for what is to be dropped after one.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from backupstore.clock import SystemClock
from backupstore.ports import Clock
from backupstore.stores.azure.client import Ask, Client
from backupstore.stores.azure.options import Storing
from backupstore.stores.azure.place import Place, own
from backupstore.stores.azure.signing import AccountKey, account_key
from backupstore.stores.azure.store import AzureStore
from backupstore.stores.http.pool import Wire
from backupstore.stores.http.retry import Patience
from tests.harness.cache import built_once, cache_root
from tests.harness.errors import HarnessError, program
from tests.harness.s3_servers import certificate, running

HOST = "127.0.0.1"
ACCOUNT = "lab"
SECRET = "bWFkZSB1cCBmb3IgdGVzdHMsIGFuZCBmb3Igbm90aGluZyBlbHNl"
VERSION = "3.35.0"

_LITTLE = Patience(seconds=5.0, least=4, first_pause=0.01, longest_pause=0.5)


@dataclass(frozen=True, slots=True)
class Azurite:
    """A server that answers. ``key_file``: what opens it; ``authority``: the certificate to trust, if it speaks TLS."""

    port: int
    key_file: Path
    authority: Path | None = None

    @property
    def url(self) -> str:
        return f"{'https' if self.authority else 'http'}://{HOST}:{self.port}"

    def place(self, container: str, port: int | None = None) -> Place:
        return own(ACCOUNT, container, HOST, port or self.port, secure=self.authority is not None)

    def container(self, name: str) -> str:
        """Make a container."""
        client = Client(self.place(name), self.key, SystemClock(), wire=Wire(ca_file=self.authority))
        client.send(Ask(operation="make", method="PUT", path=client.place.root, query={"restype": "container"}))
        client.close()
        return name

    @property
    def key(self) -> AccountKey:
        return account_key(self.key_file)


@contextmanager
def azurite(folder: Path, *, tls: bool = False) -> Iterator[Azurite]:
    """The server, its blobs in the folder."""
    node, script = program("node", "apt-get install nodejs"), installed()
    authority = certificate(folder) if tls else None
    key_file = folder / "key.json"
    key_file.write_text(json.dumps({"storage_account": ACCOUNT, "key": SECRET}), encoding="utf-8")

    def command(port: int) -> list[str]:
        options = ["--silent", "--disableTelemetry", "--disableProductStyleUrl", "--location", str(folder / "blobs")]
        options += ["--blobHost", HOST, "--blobPort", str(port)]
        if authority:
            options += ["--cert", str(authority), "--key", str(authority.with_name("key.pem"))]
        return [node, str(script), *options]

    with running(command, {"AZURITE_ACCOUNTS": f"{ACCOUNT}:{SECRET}"}, folder / "log") as port:
        yield Azurite(port, key_file, authority)


def installed() -> Path:
    """The server's script; fetched from npm once for this user."""
    home = built_once(cache_root() / f"azurite-{VERSION}", _fetch)
    return home / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"


def _fetch(staging: Path) -> None:
    npm = program("npm", "apt-get install npm")
    done = subprocess.run(
        [npm, "install", "--prefix", str(staging), "--no-audit", "--no-fund", "--ignore-scripts", f"azurite@{VERSION}"],
        env={**os.environ, "npm_config_update_notifier": "false"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode or not (staging / "node_modules" / "azurite").is_dir():
        shutil.rmtree(staging, ignore_errors=True)
        raise HarnessError(f"npm could not install azurite@{VERSION}; it needs its registry:\n{done.stderr[-2000:]}")


@dataclass(frozen=True, slots=True, kw_only=True)
class How:
    """How a test opens a store, where it matters. ``port``: of a proxy before the server."""

    port: int | None = None
    storing: Storing | None = None
    clock: Clock | None = None
    wire: Wire | None = None


def opened(server: Azurite, container: str, how: How | None = None) -> AzureStore:
    """Our store over a container of the server, of little patience."""
    how = how or How()
    return AzureStore(
        server.place(container, how.port),
        server.key,
        how.clock or SystemClock(),
        wire=replace(how.wire or Wire(ca_file=server.authority, read_timeout=20.0), patience=_LITTLE),
        storing=how.storing,
    )


def refusal(status: int, code: str, message: str = "as arranged", *headers: str) -> bytes:
    """An answer as Azure gives it when it will not."""
    body = f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>{message}</Message></Error>'.encode()
    lines = [f"HTTP/1.1 {status} no", f"content-length: {len(body)}", f"x-ms-error-code: {code}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body
