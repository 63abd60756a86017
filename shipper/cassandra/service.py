"""Stopping and starting Cassandra by the configured commands, and telling whether it really did.

A stop command that ends with 0 says little: Cassandra closes its ports at once and writes on for seconds, and a service
manager may start it again. Stopped is: no port takes connections, and no process has a file open in its directories.
Started is: it answers a question in CQL, not only takes connections.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePath
from ssl import SSLContext
from typing import Literal

from backupstore.errors import NodeTrouble
from backupstore.ports import Clock
from shipper.cassandra import wire
from shipper.cassandra.cql import Session
from shipper.cassandra.holders import holders
from shipper.cassandra.process import Called, run
from shipper.cassandra.wire import Address

Check = Literal["cql", "all"]

_PROBE_SECONDS = 3.0
_POLL_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Commands:
    """``start_cmd`` and ``stop_cmd``, each as a list of arguments."""

    start: tuple[str, ...]
    stop: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Presence:
    """How it shows that Cassandra runs: ``cql`` and ``storage`` answer, it may listen elsewhere too, it holds files."""

    cql: Address
    storage: Address
    others: tuple[Address, ...] = ()
    directories: tuple[Path, ...] = ()
    tls: SSLContext | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds, for the command and the wait after it together."""

    stop: float = 300.0
    start: float = 300.0


class Service:
    """Cassandra as something that runs or does not."""

    def __init__(self, commands: Commands, presence: Presence, limits: Limits, clock: Clock) -> None:
        self._commands = commands
        self._presence = presence
        self._limits = limits
        self._clock = clock

    def stop(self) -> None:
        """Stop Cassandra and wait until it is gone; one that is down already is fine. NodeTrouble when it stays."""
        end = self._clock.running() + self._limits.stop
        failure = self._command(self._commands.stop, "stop_cmd in [cassandra]", self._limits.stop)
        stayed = self._wait(lambda: not self.traces(), end if failure is None else self._clock.running())
        if not stayed:
            return
        traces = "; ".join(self.traces()) or "it went just now"
        raise NodeTrouble(
            f"Cassandra did not stop: {failure or f'after {self._limits.stop:g} seconds'}: {traces}.",
            hint="Stop it by hand and look into system.log. If something starts it again by itself (systemd Restart=),"
            " stop it through that. Other programs with files open in its directories must end, too.",
            operation="stop",
        )

    def start(self, check: Check = "cql") -> None:
        """Start Cassandra and wait until it is well. NodeTrouble when it does not get there."""
        end = self._clock.running() + self._limits.start
        failure = self._command(self._commands.start, "start_cmd in [cassandra]", self._limits.start)
        if failure is not None:
            raise NodeTrouble(
                f"Cassandra was not started: {failure}.",
                hint="Run start_cmd of medusa.ini by hand, and look into Cassandra's system.log.",
                operation="start",
            )
        self._wait_healthy(check, end)

    def wait_healthy(self, check: Check = "cql") -> None:
        """Wait until Cassandra is well, for as long as a start may take."""
        self._wait_healthy(check, self._clock.running() + self._limits.start)

    def ailments(self, check: Check = "cql") -> tuple[str, ...]:
        """Why Cassandra is not well, empty when it is. ``all`` wants the port for other nodes, too."""
        found = []
        try:
            wire.options(self._presence.cql, _PROBE_SECONDS, self._presence.tls)
        except NodeTrouble as error:
            found.append(error.message.rstrip("."))
        if check == "all" and not wire.accepts(self._presence.storage, _PROBE_SECONDS):
            found.append(f"the storage port {self._presence.storage} takes no connections")
        return tuple(found)

    def traces(self) -> tuple[str, ...]:
        """Everything that shows that Cassandra still runs; empty when it is down."""
        seen = self._presence
        addresses = dict.fromkeys((seen.cql, seen.storage, *seen.others))
        ports = [f"{each} takes connections" for each in addresses if wire.accepts(each, _PROBE_SECONDS)]
        return (*ports, *(f"{each} has {each.path} open" for each in holders(seen.directories)))

    def _wait_healthy(self, check: Check, end: float) -> None:
        if self._wait(lambda: not self.ailments(check), end):
            raise NodeTrouble(
                f"Cassandra is not up in time: {'; '.join(self.ailments(check)) or 'it came just now'}.",
                hint="Look into Cassandra's system.log: it may have refused to start, or replay a long commit log."
                " If it only takes long, raise start_timeout in [shipper] of medusa-shipper.ini.",
                operation="start",
            )

    def _wait(self, done: Callable[[], bool], end: float) -> bool:
        """Look again and again; whether the time ran out."""
        while not done():
            if self._clock.running() >= end:
                return True
            self._clock.sleep(_POLL_SECONDS)
        return False

    @staticmethod
    def _command(argv: tuple[str, ...], setting: str, timeout: float) -> str | None:
        """Run a command; why it failed, or None."""
        name = PurePath(argv[0]).name if argv else ""
        completed = run(argv, timeout=timeout, called=Called(name, setting))
        if completed.returncode == 0:
            return None
        return f"'{name}' failed with exit code {completed.returncode}: {completed.tail or 'it said nothing'}"


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """The operator's own question. Nothing is asked without ``query``; 0 rows and an empty result are not compared."""

    query: str = ""
    expected_rows: int = 0
    expected_result: str = ""

    def problems(self, session: Session) -> tuple[str, ...]:
        """How the answer differs from what was expected; empty when it does not."""
        if not self.query:
            return ()
        rows = session.query(self.query)
        found = []
        if self.expected_rows and len(rows) != self.expected_rows:
            found.append(f"the query gave {len(rows)} rows, not {self.expected_rows}")
        first = ",".join(str(value) for value in rows[0]) if rows else ""
        if self.expected_result and first != self.expected_result:
            found.append(f"the first row is {first!r}, not {self.expected_result!r}")
        return tuple(found)
