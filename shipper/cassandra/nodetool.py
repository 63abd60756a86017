"""What we ask of a node by nodetool: snapshots, flushing and draining, hints, and how it sees its ring.

Nodetool explains a failure in one line before a Java stack trace; that line is what an error of ours says. Some
failures end with 0: callers check what they asked for.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePath

from backupstore.errors import BackupError, Denied, NodeTrouble
from shipper.cassandra.process import Called, Completed, run

_REASON = re.compile(r"^(?:error|nodetool): (.+)$", re.MULTILINE)
_LOGIN = re.compile(r"SecurityException|Authentication|Credentials|password", re.IGNORECASE)
_MEMBER = re.compile(r"^([UD?])([NLJM?])\s+(\S+)\s.*?([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})", re.MULTILINE)
_FACT = re.compile(r"^([^:\n]+?)\s*: (.*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class NodetoolAccess:
    """The program and how it logs in. Empty where medusa.ini says nothing; nodetool has its own defaults."""

    executable: str = "nodetool"
    flags: tuple[str, ...] = ("-Dcom.sun.jndi.rmiURLParsing=legacy",)
    host: str = ""
    port: int | None = None
    username: str = ""
    password: str = field(default="", repr=False)
    password_file: str = ""
    ssl: bool = False

    def command(self) -> tuple[str, ...]:
        """All arguments before the command's own."""
        return (
            self.executable,
            *self.flags,
            *(("-h", self.host) if self.host else ()),
            *(("-p", str(self.port)) if self.port else ()),
            *(("-u", self.username) if self.username else ()),
            *(("-pw", self.password) if self.password else ()),
            *(("-pwf", self.password_file) if self.password_file else ()),
            *(("--ssl",) if self.ssl else ()),
        )


@dataclass(frozen=True, slots=True)
class Seen:
    """One line of ``nodetool status``. ``is_normal`` is false while it joins, leaves or moves."""

    address: str
    host_id: str
    is_up: bool
    is_normal: bool


class Nodetool:
    """Nodetool of one node. Each call starts a JVM and takes a second or more; ``timeout`` holds for each."""

    def __init__(self, access: NodetoolAccess, *, timeout: float) -> None:
        self.access = access
        self.timeout = timeout

    def at(self, host: str) -> Nodetool:
        """The same for another node, where JMX may be reached from here."""
        return Nodetool(replace(self.access, host=host), timeout=self.timeout)

    def snapshot(self, tag: str, *, keyspaces: Sequence[str] = (), tables: Sequence[str] = ()) -> None:
        """Take a snapshot of everything, of keyspaces, or of ``ks.table`` s. It flushes first."""
        if keyspaces or not tables:
            self._run("snapshot", "-t", tag, *keyspaces)
        if tables:
            self._run("snapshot", "-t", tag, "-kt", ",".join(tables))

    def clear_snapshot(self, tag: str) -> None:
        """Remove a snapshot from every table. One that does not exist is fine."""
        self._run("clearsnapshot", "-t", tag)

    def flush(self) -> None:
        """Write all memtables to disk."""
        self._run("flush")

    def drain(self) -> None:
        """Flush, and take no more writes until the next start."""
        self._run("drain")

    def rebuild_index(self, keyspace: str, table: str, index: str) -> None:
        """Build a secondary index anew from its table."""
        self._run("rebuild_index", keyspace, table, index)

    def disable_handoff(self) -> None:
        """Stop this node from storing and sending hints, until it is enabled again or restarted."""
        self._run("disablehandoff")

    def enable_handoff(self) -> None:
        """Let this node store and send hints again."""
        self._run("enablehandoff")

    def status(self) -> tuple[Seen, ...]:
        """Every member of the ring as gossip shows it to this node, sorted by address."""
        text = self._run("status").stdout
        found = [
            Seen(address, host_id, up == "U", state == "N") for up, state, address, host_id in _MEMBER.findall(text)
        ]
        if not found:
            raise _not_understood("status")
        return tuple(sorted(found, key=lambda seen: seen.address))

    def info(self) -> dict[str, str]:
        """What the node says about itself, by nodetool's own headings."""
        found = {key.strip(): value.strip() for key, value in _FACT.findall(self._run("info").stdout)}
        if "ID" not in found:
            raise _not_understood("info")
        return found

    def _run(self, *arguments: str) -> Completed:
        name = f"{PurePath(self.access.executable).name} {arguments[0]}"
        called = Called(name, "nodetool_executable in [cassandra]")
        completed = run([*self.access.command(), *arguments], timeout=self.timeout, called=called)
        if completed.returncode:
            raise self._failure(name, completed)
        return completed

    def _failure(self, name: str, completed: Completed) -> BackupError:
        match = _REASON.search(completed.stderr) or _REASON.search(completed.stdout)
        reason = match[1] if match else completed.tail or "it said nothing"
        if self.access.password:
            reason = reason.replace(self.access.password, "***")
        message = f"'{name}' failed with exit code {completed.returncode}: {reason.rstrip('.')}."
        if _LOGIN.search(reason):
            return Denied(
                message,
                hint="Check nodetool_username and nodetool_password (or nodetool_password_file_path) in [cassandra] of"
                " medusa.ini.",
                operation="nodetool",
            )
        return NodeTrouble(message, hint=_hint(reason), operation="nodetool")


def _hint(reason: str) -> str:
    if "Failed to connect" in reason:
        return (
            "Is Cassandra running? If it is, check nodetool_host, nodetool_port and nodetool_ssl in [cassandra] of"
            " medusa.ini against the JMX settings in cassandra-env.sh."
        )
    return "Run the same nodetool command by hand, and look into Cassandra's system.log."


def _not_understood(command: str) -> NodeTrouble:
    return NodeTrouble(
        f"'nodetool {command}' succeeded, but its answer is not understood.",
        hint="Check nodetool_executable in [cassandra] of medusa.ini: is it the nodetool of this Cassandra?",
        operation="nodetool",
    )
