"""sstableloader: sends the SSTables of one table to whoever owns their rows, through a running node as contact point.

Passwords of keystore and truststore never stand among its arguments, which everybody on the machine can read: they go
into a copy of cassandra.yaml of mode 0600, which is removed afterwards. The CQL password has no such way: the program
takes it as an argument only.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from backupstore.core.shown import one_line
from backupstore.errors import Denied, Misconfigured, NodeTrouble
from shipper.cassandra.process import Called, Completed, find_program, run
from shipper.cassandra.wire import Address
from shipper.cassandra.yaml_edit import with_values
from shipper.cassandra.yaml_values import parse
from shipper.state import disk_error

_DEFAULT_STORAGE_PORT = 7000
_BASE_SECONDS = 900.0
_SLOWEST = 1 << 20
_CALLED = Called("sstableloader", "sstableloader_bin")
_YAML = "loader.yaml"
_SECTION = "client_encryption_options"
_EXCEPTION = re.compile(
    r"^(?:Caused by: |Exception in thread \S+ )?[\w.$]+(?:Exception|Error): (.+(?:: ?\n\S.*)?)$", re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class Stores:
    """Truststore and keystore for CQL over TLS, as ``sstableloader_ts`` and the other three in medusa.ini name them."""

    truststore: Path
    truststore_password: str = field(repr=False)
    keystore: Path
    keystore_password: str = field(repr=False)

    def options(self) -> Mapping[str, object]:
        """What cassandra.yaml calls them."""
        return {
            "enabled": True,
            "optional": False,
            "truststore": str(self.truststore),
            "truststore_password": self.truststore_password,
            "keystore": str(self.keystore),
            "keystore_password": self.keystore_password,
        }


@dataclass(frozen=True, slots=True)
class LoaderAccess:
    """The program, its contact point, and how it logs in. ``yaml``: cassandra.yaml, for TLS between nodes and the ports."""

    executable: str
    contact: Address
    storage_port: int
    yaml: Path
    username: str = ""
    password: str = field(default="", repr=False)
    stores: Stores | None = None

    def check(self) -> None:
        """Misconfigured when the program is not on this machine."""
        if find_program(self.executable) is None:
            raise Misconfigured(
                (f"{self.executable or 'sstableloader'} is not on this machine, or may not be run",),
                hint="Name Cassandra's own sstableloader with sstableloader_bin in [cassandra].",
            )


class SstableLoader:
    """``scratch``: a folder of ours, for what must not be seen."""

    def __init__(self, access: LoaderAccess, scratch: Path) -> None:
        self.access = access
        self._scratch = scratch

    def load(self, folder: Path, size: int) -> None:
        """Send all SSTables of ``…/<keyspace>/<table>``, ``size`` bytes. It may be done twice. NodeTrouble.

        A table must have no storage attached index meanwhile: sstableloader sends SSTables without the files of those,
        and a node refuses what comes so.
        """
        with self._yaml() as yaml:
            ended = run(self._command(yaml, folder), timeout=_BASE_SECONDS + size / _SLOWEST, called=_CALLED)
        if ended.returncode:
            raise NodeTrouble(
                f"sstableloader could not load {folder.parent.name}/{folder.name}: {_reason(ended)}.",
                hint="All nodes have to be up ('nodetool status'), and each of them says more in its system.log. What was"
                " loaded stays, and loading it again does no harm: the same command goes on.",
                operation="load",
                key=str(folder),
            )

    def _command(self, yaml: Path, folder: Path) -> tuple[str, ...]:
        access = self.access
        port = access.storage_port
        return (
            access.executable,
            *("--nodes", access.contact.host),
            *("--port", str(access.contact.port)),
            *("--conf-path", str(yaml)),
            *(("--storage-port", str(port)) if port != _DEFAULT_STORAGE_PORT else ()),
            *(("--username", access.username, "--password", access.password) if access.username else ()),
            "--no-progress",
            str(folder),
        )

    @contextmanager
    def _yaml(self) -> Iterator[Path]:
        """The configuration that it reads: Cassandra's own, or a copy with the operator's stores."""
        if self.access.stores is None:
            yield self.access.yaml
            return
        path = self._scratch / _YAML
        try:
            path.unlink(missing_ok=True)
            body = _with_stores(self.access.yaml, self.access.stores)
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(handle, "w", encoding="utf-8") as out:
                out.write(body)
            yield path
        except OSError as error:
            raise disk_error(error, path, "load") from error
        finally:
            path.unlink(missing_ok=True)


def _with_stores(path: Path, stores: Stores) -> str:
    """The text of cassandra.yaml with our stores in the section for clients, of which all else stays."""
    text = _text(path)
    section = parse(path, text).raw(_SECTION)
    before = section if isinstance(section, Mapping) else {}
    return with_values(path, text, {_SECTION: json.dumps({**before, **stores.options()}, default=str)})


def _reason(ended: Completed) -> str:
    """What its last exception says, rather than where in the code it came from."""
    found = list(_EXCEPTION.finditer(f"{ended.stdout}\n{ended.stderr}"))
    return one_line(found[-1][1]).rstrip(".:") if found else ended.tail or "it does not say why"


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except PermissionError as error:
        raise Denied(
            f"{path} may not be read.", hint="Run as Cassandra's user, or let this user read it.", operation="load"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured((f"{path} cannot be read",), hint="Check config_file in [cassandra].") from error
