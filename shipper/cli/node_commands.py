"""The commands that run beside Cassandra, and carry its data: their options as ``--help`` shows them."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from shipper.cli.parameters import BackupName, Keyspaces, Tables


class How(str, Enum):
    """The mode of a backup."""

    differential = "differential"
    full = "full"


KeepSnapshot = Annotated[bool, typer.Option("--keep-snapshot", help="Leave the snapshot on the node.")]
UseExistingSnapshot = Annotated[
    bool,
    typer.Option(
        "--use-existing-snapshot",
        help="Back up the snapshot medusa-NAME that was taken before, instead of a new one; it is left there.",
    ),
]
EnableMd5Checks = Annotated[
    bool,
    typer.Option(
        "--enable-md5-checks", help="Read every file and compare its digest, also where nothing seems to have changed."
    ),
]


def backup(
    context: typer.Context,
    backup_name: Annotated[
        str | None, typer.Option(metavar="NAME", help="Name of the backup. [default: the time in UTC: 202611230215]")
    ] = None,
    mode: Annotated[
        How,
        typer.Option(
            metavar="differential|full",
            help="Upload only what the bucket does not hold yet, or everything, apart from other backups.",
        ),
    ] = How.differential,
    keyspace: Keyspaces = None,
    table: Tables = None,
    keep_snapshot: KeepSnapshot = False,
    use_existing_snapshot: UseExistingSnapshot = False,
    enable_md5_checks: EnableMd5Checks = False,
) -> None:
    """Back this node up.

    Run it on every node with the same --backup-name to back the cluster up. A backup that was interrupted is finished
    by running it again with its name.
    """
    if use_existing_snapshot and (backup_name is None or keyspace or table):
        raise typer.BadParameter(
            "needs --backup-name, and takes neither --keyspace nor --table", param_hint="--use-existing-snapshot"
        )
    from shipper.cli.backing_up import Flags, run_backup

    run_backup(
        context.obj,
        name=backup_name,
        mode=mode.value,
        keyspaces=keyspace or [],
        tables=table or [],
        flags=Flags(keep_snapshot, use_existing_snapshot, enable_md5_checks),
    )


def restore_node(
    context: typer.Context,
    backup_name: Annotated[str | None, typer.Option(metavar="NAME", help="Name of the backup.")] = None,
    in_place: Annotated[
        bool,
        typer.Option(
            "--in-place",
            help="This machine is, or shall become, the node that made the backup. Needed where nothing on it can tell.",
        ),
    ] = False,
    temp_dir: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="Where to keep the list of files to fetch. Data is always fetched beside the data directories.",
        ),
    ] = None,
    verify: Annotated[
        bool,
        typer.Option("--verify/--no-verify", help="Run the health check of [checks] before the old data is dropped."),
    ] = True,
    undo: Annotated[bool, typer.Option("--undo", help="Take back a restore that is not over.")] = False,
    accept_corrupt: Annotated[
        bool, typer.Option("--accept-corrupt", help="Restore although the backup holds corrupt SSTables.")
    ] = False,
    ignore_ring_changes: Annotated[
        bool,
        typer.Option(
            "--ignore-ring-changes", help="Restore this node alone although the ring's schema has moved on since."
        ),
    ] = False,
    without_hold: Annotated[
        bool, typer.Option("--without-hold", help="Restore although the backup cannot be protected from purge.")
    ] = False,
) -> None:
    """Restore this node from its backup.

    Everything is checked and fetched before Cassandra is stopped; until the restored node has proved healthy, every
    failure puts the old data back. Interrupted, run the same command again to finish, or --undo to go back.
    """
    if backup_name is None and not undo:
        raise typer.BadParameter("a name is needed; list-backups shows what there is", param_hint="--backup-name")
    from shipper.cli.restoring import RestoreOptions, run_restore, run_undo

    if backup_name is None or undo:
        run_undo(context.obj)
        return
    flags = RestoreOptions(in_place, verify, accept_corrupt, ignore_ring_changes, without_hold, temp_dir)
    run_restore(context.obj, backup_name, flags)


def download(
    context: typer.Context,
    backup_name: BackupName,
    download_destination: Annotated[Path, typer.Option(metavar="PATH", help="An existing directory to download into.")],
    keyspace: Keyspaces = None,
    table: Tables = None,
    ignore_system_keyspaces: Annotated[
        bool, typer.Option("--ignore-system-keyspaces", help="Leave Cassandra's own keyspaces out.")
    ] = False,
) -> None:
    """Download the backup of a node.

    Every digest is checked. --fqdn, before the command, chooses another node. Interrupted, run the same command again.
    """
    from shipper.cli.downloading import run_download

    run_download(
        context.obj,
        backup_name,
        download_destination,
        keyspaces=keyspace or [],
        tables=table or [],
        ignore_system=ignore_system_keyspaces,
    )


def register(app: typer.Typer) -> None:
    """Add them to the program, also by stock's other names."""
    app.command("backup")(backup)
    app.command("backup-node", hidden=True)(backup)
    app.command("restore-node")(restore_node)
    app.command("restore", hidden=True)(restore_node)
    app.command("download")(download)
