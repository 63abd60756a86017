"""CQL sessions with exactly one node: what it answers is what it knows, never what a replica knows.

    with connect(CqlAccess(Address("10.0.0.5", 9042), "backup", "secret")) as session:
        session.identity()

The same session serves the node beside us and any other one (``access.at(address)``): whether our host id is up
elsewhere, which schema is live, what was truncated. The driver takes some 0.3 s to import, so that happens here, late.
It finds out its protocol version by trying and complaining; we ask the node first, which also tells a closed port, a
missing TLS and a refused login apart.
"""

from __future__ import annotations

import logging
import re
import ssl
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backupstore.errors import BackupError, Denied, Misconfigured, NodeTrouble
from shipper.cassandra import wire
from shipper.cassandra.port import Undecoded
from shipper.cassandra.schema_text import described, exported
from shipper.cassandra.system_tables import identity_of, members_of, truncations_of, versions_of
from shipper.cassandra.wire import Address

if TYPE_CHECKING:
    from shipper.cassandra.port import Identity, Member, Schema

_NEWEST_PROTOCOL = 5
_OLDEST_PROTOCOL = 4
_ASKED_AT_ONCE = 8
_UNDECODED = "Failed decoding result column "
_VERSION = re.compile(r"([0-9]+)/v[0-9]+")


@dataclass(frozen=True, slots=True)
class Tls:
    """Files for CQL over TLS, as in medusa.ini. A node's certificate rarely names its address, so none is asked for."""

    certfile: Path
    usercert: Path | None = None
    userkey: Path | None = None

    def context(self) -> ssl.SSLContext:
        """TLS 1.2 or newer, the node's certificate signed by ``certfile``. Misconfigured when a file is no good."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_verify_locations(self.certfile)
            if self.usercert and self.userkey:
                context.load_cert_chain(self.usercert, self.userkey)
        except (OSError, ssl.SSLError) as error:
            raise Misconfigured(
                (f"certfile, usercert or userkey in [cassandra] cannot be used: {error}.",),
                hint="Each must be a file in PEM form that this user may read; userkey must belong to usercert.",
            ) from error
        return context


@dataclass(frozen=True, slots=True)
class CqlAccess:
    """Which node, as whom, and how long to wait: ``connect_timeout`` for each step of connecting."""

    address: Address
    username: str = ""
    password: str = field(default="", repr=False)
    tls: Tls | None = None
    connect_timeout: float = 10.0
    request_timeout: float = 60.0

    def at(self, address: Address) -> CqlAccess:
        """The same for another node."""
        return replace(self, address=address)


class Session:
    """Questions to one node. NodeTrouble when it fails or is too slow, Denied when the login may not ask."""

    def __init__(self, access: CqlAccess, driver: Any) -> None:  # noqa: ANN401 - the driver ships no types
        self._access = access
        self._driver = driver

    def identity(self) -> Identity:
        """Who the node is."""
        return identity_of(self._rows("SELECT * FROM system.local WHERE key = 'local'"))

    def ring(self, name_of: Callable[[str, str], str]) -> tuple[Member, ...]:
        """Every member of the ring that the node knows, named from host id and address, sorted by name."""
        local = self._rows("SELECT * FROM system.local WHERE key = 'local'")
        return members_of(local, self._rows("SELECT * FROM system.peers_v2"), name_of)

    def schema(self) -> Schema:
        """The schema as the node has it now, whether or not all nodes agree on it."""
        return described(self._export(), self._rows("DESCRIBE SCHEMA WITH INTERNALS"))

    def truncations(self) -> dict[str, float]:
        """When tables were truncated last, by id of the table: epoch seconds. A dropped table may still be there."""
        return truncations_of(self._rows("SELECT truncated_at FROM system.local WHERE key = 'local'"))

    def change(self, text: str) -> None:
        """Change the schema by one statement, as it stands."""
        self._rows(text)

    def schema_versions(self) -> dict[str, str | None]:
        """Address and port for clients of each member → the version of the schema that it has; None when it cannot be asked.

        What the node has heard of the others comes late. So each of them is asked itself, once that does not differ.
        """
        local = self._rows("SELECT * FROM system.local WHERE key = 'local'")
        heard = versions_of(local, self._rows("SELECT * FROM system.peers_v2"))
        if len(set(heard.values())) > 1:
            return {str(address): version for address, version in heard.items()}
        own, *others = heard
        # Nobody tells of a port that is for TLS alone: there, all have the one that we use.
        with_tls = self._access.tls is not None and self._access.address.port != own.port
        asked = [replace(each, port=self._access.address.port) for each in others] if with_tls else others
        with ThreadPoolExecutor(_ASKED_AT_ONCE) as pool:
            said = dict(zip(map(str, others), pool.map(self._version_at, asked), strict=True))
            return {str(own): heard[own], **said}

    def query(self, text: str, values: Sequence[object] = ()) -> tuple[tuple[object, ...], ...]:
        """All rows of a statement; ``values`` stand for each ``%s`` in it."""
        return tuple(tuple(row) for row in self._rows(text, values))

    def _version_at(self, address: Address) -> str | None:
        try:
            with connect(self._access.at(address)) as other:
                return str(other.query("SELECT schema_version FROM system.local WHERE key = 'local'")[0][0])
        except (BackupError, IndexError):
            return None

    def _rows(self, statement: str, values: Sequence[object] = ()) -> Sequence[Any]:
        with _translated(self._access.address):
            timeout = self._access.request_timeout
            try:
                return list(self._driver.execute(statement, tuple(values) or None, timeout=timeout))
            except (TypeError, ValueError) as error:  # values that do not go into this statement
                raise _trouble(self._access.address, error) from error

    def _export(self) -> str:
        with _translated(self._access.address):
            cluster = self._driver.cluster
            cluster.refresh_schema_metadata(max_schema_agreement_wait=0)
            return exported(cluster.metadata.keyspaces)


@contextmanager
def connect(access: CqlAccess) -> Iterator[Session]:
    """A session for as long as the block lasts; its threads end with it."""
    tls = access.tls.context() if access.tls else None
    version = _protocol(access, tls)
    with _translated(access.address):
        driver = _driver(access, tls, version)
    try:
        with _translated(access.address):
            session = driver.connect()
            session.client_protocol_handler = frames()
        yield Session(access, session)
    finally:
        driver.shutdown()


def _protocol(access: CqlAccess, tls: ssl.SSLContext | None) -> int:
    """The newest protocol that both sides speak; the oldest one lets us see how old the node is, and say so."""
    offered = wire.options(access.address, access.connect_timeout, tls).get("PROTOCOL_VERSIONS", ())
    versions = [int(match[1]) for text in offered if (match := _VERSION.fullmatch(text))]
    return max((version for version in versions if version <= _NEWEST_PROTOCOL), default=_OLDEST_PROTOCOL)


def _driver(access: CqlAccess, tls: ssl.SSLContext | None, version: int) -> Any:  # noqa: ANN401 - no types
    from cassandra.auth import PlainTextAuthProvider  # noqa: PLC0415 - slow to import
    from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile  # noqa: PLC0415
    from cassandra.policies import WhiteListRoundRobinPolicy  # noqa: PLC0415

    # All that the driver logs about a failure it also raises, and we say it once, with a hint.
    logging.getLogger("cassandra").setLevel(logging.CRITICAL)
    profile = ExecutionProfile(
        load_balancing_policy=WhiteListRoundRobinPolicy([access.address.host]),
        request_timeout=access.request_timeout,
    )
    return Cluster(
        [access.address.host],
        port=access.address.port,
        protocol_version=version,
        execution_profiles={EXEC_PROFILE_DEFAULT: profile},
        auth_provider=PlainTextAuthProvider(access.username, access.password) if access.username else None,
        ssl_context=tls,
        connect_timeout=access.connect_timeout,
        control_connection_timeout=access.request_timeout,
        schema_metadata_enabled=False,  # read when it is asked for
        token_metadata_enabled=False,
        monitor_reporting_enabled=False,
        executor_threads=2,
    )


def frames() -> Any:  # noqa: ANN401 - no types
    """How messages are written and read: as the driver does, but for answers with values that Python does not have.

    An error of reading one closes the connection, for whatever is asked next; as an answer it ends its question alone.
    """
    from cassandra import DriverException  # noqa: PLC0415 - slow to import
    from cassandra.protocol import ProtocolHandler  # noqa: PLC0415

    def decode(*frame: object) -> object:
        try:
            return ProtocolHandler.decode_message(*frame)
        except DriverException as error:
            return error

    return type("Frames", (ProtocolHandler,), {"decode_message": staticmethod(decode)})


@contextmanager
def _translated(address: Address) -> Iterator[None]:
    """Every error of the driver as one of ours."""
    from cassandra import DriverException  # noqa: PLC0415 - slow to import
    from cassandra.cluster import NoHostAvailable  # noqa: PLC0415
    from cassandra.connection import ConnectionBusy, ConnectionException, ProtocolError  # noqa: PLC0415

    try:
        yield
    except NoHostAvailable as error:
        causes = list((error.errors or {}).values()) if isinstance(error.errors, dict) else []
        raise _trouble(address, causes[0] if causes else error) from error
    except (DriverException, ConnectionException, ConnectionBusy, ProtocolError, OSError) as error:
        raise _trouble(address, error) from error


def _trouble(address: Address, cause: BaseException) -> BackupError:
    from cassandra import AuthenticationFailed, InvalidRequest, Unauthorized  # noqa: PLC0415 - slow to import

    kind, text = type(cause).__name__, " ".join(str(cause).split()).rstrip(".")
    if text.startswith(_UNDECODED):
        return Undecoded(
            f"Cassandra at {address} answered with what Python has no value for: {text}.",
            hint="Look at the row with cqlsh: a time after the year 9999, or text that is none.",
            operation="cql",
        )
    if isinstance(cause, AuthenticationFailed):
        return Denied(
            f"Cassandra at {address} refused the login: {text}.",
            hint="Check cql_username and cql_password in [cassandra] of medusa.ini; try them with cqlsh.",
            operation="cql",
        )
    if isinstance(cause, Unauthorized):
        return Denied(
            f"Cassandra at {address} does not allow this: {text}.",
            hint="Grant SELECT on the tables of the health check to the role in cql_username.",
            operation="cql",
        )
    if isinstance(cause, InvalidRequest):
        return NodeTrouble(
            f"Cassandra at {address} refused a query: {text}.",
            hint="If this is the query in [checks] of medusa.ini, try it with cqlsh on this node.",
            operation="cql",
        )
    return NodeTrouble(
        f"CQL at {address} failed: {kind}: {text}.",
        hint="Look at 'nodetool status' and Cassandra's system.log; a node that starts or is overloaded answers later.",
        operation="cql",
    )
