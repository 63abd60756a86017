"""The doctor's findings as values, for a program with its medusa.ini; and what an indexer would have done meanwhile."""

from __future__ import annotations

import os
import uuid
from dataclasses import dataclass
from pathlib import Path

from backupstore.clock import SystemClock
from backupstore.operations.reconcile import reconcile
from backupstore.settings import load
from backupstore.wiring import layout_of, open_store
from shipper.doctor.case import Case
from shipper.doctor.checks import AREAS, all_checks
from shipper.doctor.findings import Finding, examine
from tests.harness.s3_servers import S3Server
from tests.shipper.cli.program import Program

BUCKET = "backups"


@dataclass(frozen=True)
class Answers:
    """What one examination found."""

    findings: tuple[Finding, ...]

    def of(self, check: str) -> list[tuple[str, str]]:
        """Status and text of everything that a check said."""
        return [(each.status.value, each.seen) for each in self.findings if each.check == check]

    def status(self, check: str) -> set[str]:
        return {status for status, _ in self.of(check)}

    def said(self, status: str) -> str:
        """All that has this status, for messages and for searching."""
        found = (each for each in self.findings if each.status.value == status)
        return "\n".join(f"{each.check}: {each.seen} → {each.todo}" for each in found)


def ask(program: Program, *areas: str, read_only: bool = False) -> Answers:
    """Ask about some areas; all where none is given."""
    loaded = load(program.ini, {})
    case = Case(loaded.settings, open_store(loaded.settings, patient=False), SystemClock(), read_only, 60.0)
    checks = all_checks(case, loaded, str(program.ini), uuid.uuid4().hex)
    return Answers(tuple(examine(checks, areas or AREAS, case.seconds)))


def run_index(program: Program) -> None:
    """What ``serve`` does."""
    clock, settings = SystemClock(), load(program.ini, {}).settings
    reconcile(open_store(settings), layout_of(settings), now=clock.now(), revision=lambda: uuid.uuid4().hex)


def age(program: Program, key: str, seconds: float) -> None:
    """Let an object have been written so long ago."""
    at = program.store.head(key).modified - seconds
    os.utime(program.bucket / key, (at, at))


def s3_program(
    folder: Path, server: S3Server, *, bucket: str = BUCKET, port: int = 0, more: tuple[str, ...] = ()
) -> Program:
    """A node n1 of the cluster ``prod`` in a bucket of that server. ``port``: that of a proxy in front of it."""
    folder.mkdir(exist_ok=True)
    keys = folder / "keys"
    keys.write_text(f"[default]\naws_access_key_id = {server.access}\naws_secret_access_key = {server.secret}\n")
    keys.chmod(0o600)
    endpoint = (
        "storage_provider = s3_compatible",
        f"host = {server.host}",
        f"port = {port or server.port}",
        "secure = False",
    )
    rest = ("s3_addressing_style = path", f"bucket_name = {bucket}", f"key_file = {keys}", "fqdn = n1", "prefix = prod")
    return S3Program(folder, (*endpoint, *rest, *more))


class S3Program(Program):
    """All of ``[storage]`` is given."""

    @property
    def ini(self) -> Path:
        path = self.directory / "medusa.ini"
        path.write_text("\n".join(("[storage]", *self.storage, "[cassandra]", *self.cassandra, "")))
        (self.directory / "medusa-shipper.ini").write_text(f"[shipper]\nstate_dir = {self.directory / 'state'}\n")
        return path
