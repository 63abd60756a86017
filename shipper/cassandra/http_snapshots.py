"""Snapshots by HTTP, for a node in a container of its own: the management API for Apache Cassandra, or Jolokia.

Both are asked as stock Medusa asks them, at the URL of ``cassandra_url``; both do what nodetool does. A request ends when
the snapshot is on disk, or cleared.
"""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

from backupstore.errors import BackupError, Denied, Misconfigured, NodeTrouble

_GOOD = range(200, 300)
_NOT_ALLOWED = frozenset({401, 403})
_MOST = 1 << 20
_SHOWN = 300
_MBEAN = "org.apache.cassandra.db:type=StorageService"
_HINT = "Check cassandra_url in [kubernetes] of medusa.ini, and the log of what listens there; try it with curl."


@dataclass(frozen=True, slots=True)
class ClientTls:
    """Files for mutual TLS, in PEM form."""

    ca_cert: Path
    tls_cert: Path
    tls_key: Path

    def context(self) -> ssl.SSLContext:
        """The server's certificate must be signed by ``ca_cert``; Misconfigured when a file is no good.

        Its name is not compared: the server is asked at the pod's own address, and its certificate names a service.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_verify_locations(self.ca_cert)
            context.load_cert_chain(self.tls_cert, self.tls_key)
        except (OSError, ssl.SSLError) as error:
            raise Misconfigured(
                (f"ca_cert, tls_cert or tls_key in [kubernetes] cannot be used: {error}.",),
                hint="Each must be a file in PEM form that this user may read; tls_key must belong to tls_cert.",
            ) from error
        return context


@dataclass(frozen=True, slots=True)
class Server:
    """Where to ask, and how long to wait for each answer, in seconds."""

    url: str
    timeout: float
    tls: ClientTls | None = None

    def ask(self, method: str, query: str = "", body: Mapping[str, object] | None = None) -> bytes:
        """The body of a good answer. NodeTrouble, Denied, Misconfigured."""
        parts = urlsplit(self.url)
        target = f"{parts.path or '/'}{'?' if query else ''}{query}"
        connection = self._connection()
        try:
            sent = json.dumps(body).encode() if body is not None else None
            headers = {"Content-Type": "application/json"} if body is not None else {}
            connection.request(method, target, sent, headers)
            answer = connection.getresponse()
            text = answer.read(_MOST)
        except (OSError, http.client.HTTPException) as error:
            raise self._unreachable(error) from error
        finally:
            connection.close()
        if answer.status not in _GOOD:
            raise self.refused(f"{answer.status} {_printable(text.decode('utf-8', 'replace'))}", status=answer.status)
        return text

    def refused(self, why: str, *, status: int = 0) -> BackupError:
        """The error for a request that the server did not carry out."""
        kind = Denied if status in _NOT_ALLOWED else NodeTrouble
        return kind(f"{self.url} did not do what it was asked for: {why.strip()}.", hint=_HINT, operation="snapshot")

    def _connection(self) -> http.client.HTTPConnection:
        parts = urlsplit(self.url)
        if self.tls is None and parts.scheme == "http":
            return http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=self.timeout)
        # As in stock: with a client certificate, TLS is meant even where the URL says http.
        context = self.tls.context() if self.tls else ssl.create_default_context()
        return http.client.HTTPSConnection(parts.hostname or "", parts.port, timeout=self.timeout, context=context)

    def _unreachable(self, error: Exception) -> NodeTrouble:
        told = (getattr(error, name, None) for name in ("verify_message", "reason", "strerror"))
        why = next((each for each in told if each), str(error) or type(error).__name__)
        hint = _HINT
        if isinstance(error, ssl.SSLError):
            hint = "Compare ca_cert, tls_cert and tls_key in [kubernetes] of medusa.ini with the server's certificates."
        elif isinstance(error, TimeoutError):
            hint = "If the snapshot only takes long, raise nodetool_timeout in [shipper] of medusa-shipper.ini."
        return NodeTrouble(f"{self.url} does not answer: {why}.", hint=hint, operation="snapshot")


@dataclass(frozen=True, slots=True)
class ManagementApi:
    """``port.SnapshotCommands`` by the management API: its resource ``/api/v0/ops/node/snapshots``."""

    server: Server

    def snapshot(self, tag: str, *, keyspaces: Sequence[str] = (), tables: Sequence[str] = ()) -> None:
        """Take a snapshot of everything, of keyspaces, or of ``ks.table`` s; it refuses both in one request."""
        if keyspaces or not tables:
            named = {"keyspaces": list(keyspaces)} if keyspaces else {}
            self.server.ask("POST", body={"snapshot_name": tag, **named})
        if tables:
            self.server.ask("POST", body={"snapshot_name": tag, "keyspace_tables": list(tables)})

    def clear_snapshot(self, tag: str) -> None:
        """Remove a snapshot from every table."""
        self.server.ask("DELETE", query=f"snapshotNames={quote(tag)}")


@dataclass(frozen=True, slots=True)
class Jolokia:
    """``port.SnapshotCommands`` by Cassandra's own operations over JMX, which Jolokia offers by HTTP."""

    server: Server

    def snapshot(self, tag: str, *, keyspaces: Sequence[str] = (), tables: Sequence[str] = ()) -> None:
        """Take a snapshot of everything, of keyspaces, or of ``ks.table`` s."""
        operation = "takeSnapshot(java.lang.String,java.util.Map,[Ljava.lang.String;)"
        if keyspaces or not tables:
            self._execute(operation, [tag, {}, list(keyspaces)])
        if tables:
            self._execute(operation, [tag, {}, list(tables)])

    def clear_snapshot(self, tag: str) -> None:
        """Remove a snapshot from every table."""
        # With its signature: newer Cassandras have two operations of this name.
        self._execute("clearSnapshot(java.lang.String,[Ljava.lang.String;)", [tag, []])

    def _execute(self, operation: str, arguments: list[object]) -> None:
        body = {"type": "exec", "mbean": _MBEAN, "operation": operation, "arguments": arguments}
        text = self.server.ask("POST", body=body)
        try:
            answer = json.loads(text)
        except ValueError as error:
            raise self.server.refused("its answer is not Jolokia's") from error
        # Jolokia says 200 to the request, and in the body what became of the operation.
        status = answer.get("status") if isinstance(answer, dict) else None
        if status not in _GOOD:
            why = answer.get("error", "") if isinstance(answer, dict) else ""
            raise self.server.refused(
                f"{status} {_printable(str(why))}", status=status if isinstance(status, int) else 0
            )


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text[:_SHOWN])
