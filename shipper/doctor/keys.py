"""The key files of cluster restores and backups: on a node whose commands it believes, on the coordinator's machine its own.

What is wrong with them is seen here before an agent or a coordinator would end for it, which is in the middle of a night.
"""

from __future__ import annotations

from collections.abc import Iterator

from backupstore.errors import Misconfigured
from backupstore.settings.coordinator import CoordinatorSettings
from backupstore.signing import read_public_keys, read_signer
from shipper.doctor.findings import Report, fail, ok, warn


def look_at_command_keys(shipper: CoordinatorSettings) -> Iterator[Report]:
    """On a node: whose commands are obeyed."""
    path = shipper.command_keys_file
    if path is None:
        yield ok("no command_keys_file: this node obeys no coordinator")
        return
    try:
        keys = read_public_keys(path)
    except Misconfigured as error:
        yield _told("command_keys_file", error)
        return
    yield ok(f"command_keys_file {path}: commands are obeyed that {', '.join(sorted(keys))} has signed")


def look_at_signing_key(shipper: CoordinatorSettings) -> Iterator[Report]:
    """On the coordinator's machine: what commands are signed with, and whether an agent here would believe it."""
    path, believed = shipper.signing_key_file, shipper.command_keys_file
    if path is None:
        yield ok("no signing_key_file: 'serve' coordinates no cluster restores and backups")
        return
    try:
        signer = read_signer(path)
    except Misconfigured as error:
        yield _told("signing_key_file", error)
        return
    try:
        keys = read_public_keys(believed) if believed else {}
    except Misconfigured:
        keys = {}  # told above
    check, probe = keys.get(signer.key_id), b"doctor"
    if keys and not (check and check(signer.sign(probe), probe)):
        yield warn(
            f"signing_key_file {path}: what {signer.key_id} signs is not obeyed here: it is not in {believed}",
            "Add the public half to command_keys_file on every node, and restart the agents.",
        )
        return
    yield ok(f"signing_key_file {path}: commands are signed as {signer.key_id}")


def _told(setting: str, error: Misconfigured) -> Report:
    return fail(f"{setting}: {error.message}", error.hint)
