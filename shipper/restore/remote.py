"""Another node's backup on this node: it takes over the tokens and the data, and stays, or becomes, somebody of its own.

Who a node is stands in ``system.local``, whom it knows in the system's tables of peers: these are left out, so that
Cassandra makes up a new host id. The tokens it then takes from cassandra.yaml, of which two keys are set for this one
start. After it the tokens stand in ``system.local``, and the file is put back byte for byte.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from backupstore.errors import BackupError, Denied, NodeTrouble, Refused
from shipper.cassandra.configuration import read_configuration
from shipper.cassandra.port import Identity
from shipper.cassandra.yaml_edit import with_values
from shipper.progress import Progress
from shipper.restore import journal as journals
from shipper.restore.journal import EditedFile, Journal
from shipper.restore.plan import Backup, Here
from shipper.restore.port import Witness
from shipper.state import StateDirectory, disk_error, sync_directory

LEFT_OUT = frozenset(("system", table) for table in ("local", "peers", "peers_v2", "peer_events", "peer_events_v2"))
"""Keyspace and name of the tables that say who a node is, and whom it knows. Users may have tables of such names."""


def check_node(backup: Backup, here: Here, witness: Witness | None, *, in_place: bool, alone: bool) -> None:
    """Refused unless the backup is another node's, of another ring. ``alone``: no job restores the whole ring."""
    if in_place:
        raise _refused(
            "--in-place says that this is the node which made the backup, and --remote that it is not.",
            "Leave one of them out.",
        )
    if not backup.tokens:
        raise _refused(f"{backup.name} of {backup.node} does not say which tokens it holds.", "Choose another backup.")
    if alone:
        _check_own(backup, here)
        _check_ring(backup, here, witness)


def _check_own(backup: Backup, here: Here) -> None:
    same_id = backup.host_id is not None and here.known_host_id == backup.host_id
    same_tokens = backup.host_id is None and here.live is not None and frozenset(here.live.tokens) == backup.tokens
    if same_id or same_tokens:
        raise _refused(
            f"{backup.name} of {backup.node} was made by this very node"
            f" ({f'host id {backup.host_id}' if same_id else 'it owns the same tokens'}).",
            "Leave --remote out.",
        )


def _check_ring(backup: Backup, here: Here, witness: Witness | None) -> None:
    if witness is None:
        return
    for member in witness.members:
        if member.host_id == backup.host_id or frozenset(member.tokens) == backup.tokens:
            raise _refused(
                f"{backup.name} is of {member.name} ({member.address}), a member of the ring that this node is to be"
                " in: two nodes cannot own the same tokens.",
                f"Restore it there. If {member.name} is lost and this machine shall become it: empty its data"
                " directories, and type --in-place instead of --remote.",
            )
    if here.live is not None and len(witness.members) > 1:
        raise _refused(
            f"This node is one of a ring of {len(witness.members)}: the others know it, and would not let it come back"
            " with a new host id and other tokens.",
            "Restore the whole ring (restore-cluster), or take this node out of it first.",
        )


def check_yaml(path: Path, tokens: tuple[int, ...]) -> None:
    """Refused, Denied, Misconfigured when cassandra.yaml could not be set to these tokens."""
    count = read_configuration(path).num_tokens
    if (count or 1) != len(tokens):
        raise _refused(
            f"The backup is of a node with {len(tokens)} tokens, and num_tokens in {path} is {count or 'not set'}.",
            f"Set num_tokens: {len(tokens)} there, for good; or load the data with --use-sstableloader.",
        )
    _edited(path, _text(path), tokens)
    folder = path.resolve().parent
    if not os.access(folder, os.W_OK | os.X_OK, effective_ids=True):
        raise Denied(
            f"{path} has to be changed for one start, and {folder} may not be written.",
            hint="Run restore-node as root, or as the user who owns Cassandra's configuration.",
            operation="restore",
            key=str(path),
        )


def datacenter_warning(backup: Backup, live: Identity | None) -> str | None:
    """What has to be done when the backup's keyspaces are replicated to a datacenter that is not here."""
    if live is None or not backup.dc or backup.dc == live.dc:
        return None
    return (
        f"The backup is of datacenter {backup.dc}, and this node is in {live.dc}: its keyspaces have replicas in"
        f" {backup.dc} only. Run ALTER KEYSPACE for each of them afterwards, system_auth first, or name the datacenter"
        " of this node as it is in the backup."
    )


def write_tokens(state: StateDirectory, journal: Journal, path: Path) -> Journal:
    """Have the next start take the journal's tokens. Repeatable; how the file was is in the journal before it changes."""
    path = path.resolve()
    now = _text(path)
    if journal.yaml is None or now not in {journal.yaml.before, journal.yaml.after}:
        edited = EditedFile(path=path, before=now, after=_edited(path, now, journal.tokens))
        journal = journals.save(state, journal.model_copy(update={"yaml": edited}))
    if journal.yaml is not None and now != journal.yaml.after:
        _replace(path, journal.yaml.after)
    return journal


def put_yaml_back(journal: Journal, progress: Progress) -> None:
    """The file as it was, byte for byte. Repeatable. What somebody else has written meanwhile stays, with a warning."""
    edited = journal.yaml
    if edited is None:
        return
    now = _text(edited.path)
    if now == edited.after:
        _replace(edited.path, edited.before)
        return
    _drop_fresh(edited.path)
    if now != edited.before:
        progress.warn(
            f"{edited.path} was changed by somebody else meanwhile, and is left as it is:"
            " compare initial_token and auto_bootstrap there with what they should be"
        )


def check_tokens(journal: Journal, identity: Identity) -> None:
    """NodeTrouble when the node came up with others than those of the backup."""
    if frozenset(identity.tokens) != frozenset(journal.tokens):
        raise NodeTrouble(
            f"The restored node came up with other tokens than those of {journal.backup} of {journal.node}.",
            hint="Does Cassandra read another cassandra.yaml than the one config_file names? Look into its system.log.",
            operation="restore",
        )


def _edited(path: Path, text: str, tokens: tuple[int, ...]) -> str:
    joined = ",".join(map(str, tokens))
    return with_values(path, text, {"initial_token": f'"{joined}"', "auto_bootstrap": "false"})


def _text(path: Path) -> str:
    """With its line ends as they are. What is no UTF-8 was refused when the configuration was read."""
    try:
        return path.read_bytes().decode("utf-8")
    except OSError as error:
        raise disk_error(error, path, "restore") from error


def _replace(path: Path, text: str) -> None:
    """After a crash it is the old file or the new one, whole, with the owner and mode that it had."""
    fresh = _fresh(path)
    try:
        status = path.stat()
        fresh.unlink(missing_ok=True)  # of a killed run
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "wb") as out:
            out.write(text.encode("utf-8"))
            if (status.st_uid, status.st_gid) != (os.geteuid(), os.getegid()):
                os.fchown(handle, status.st_uid, status.st_gid)
            os.fchmod(handle, stat.S_IMODE(status.st_mode))
            out.flush()
            os.fsync(handle)
        fresh.replace(path)
        sync_directory(path.parent)
    except OSError as error:
        raise disk_error(error, path, "restore") from error


def _drop_fresh(path: Path) -> None:
    """What a killed run may have left beside the file."""
    try:
        _fresh(path).unlink(missing_ok=True)
    except OSError as error:
        raise disk_error(error, path, "restore") from error


def _fresh(path: Path) -> Path:
    return path.with_name(f".{path.name}.medusa-shipper")


def _refused(message: str, hint: str) -> BackupError:
    return Refused(message, hint=hint, operation="restore")
