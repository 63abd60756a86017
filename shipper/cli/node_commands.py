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


RestoredKeyspaces = Annotated[
    list[str] | None,
    typer.Option(
        "--keyspace",
        metavar="KEYSPACE",
        help="Restore the tables of this keyspace, and leave all others as they are. May be given several times.",
    ),
]
RestoredTables = Annotated[
    list[str] | None,
    typer.Option(
        "--table",
        metavar="KEYSPACE.TABLE",
        help="Restore this table with its views and indexes, also when it was dropped. May be given several times.",
    ),
]
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
    stagger: Annotated[
        int,
        typer.Option(
            metavar="SECONDS",
            min=0,
            show_default=False,
            help="A node's first backup waits so long for the node before it in the ring to finish one.",
        ),
    ] = 0,
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
        flags=Flags(keep_snapshot, use_existing_snapshot, enable_md5_checks, stagger),
    )


def restore_node(
    context: typer.Context,
    backup_name: Annotated[str | None, typer.Option(metavar="NAME", help="Name of the backup.")] = None,
    keyspace: RestoredKeyspaces = None,
    table: RestoredTables = None,
    keep_auth: Annotated[
        bool,
        typer.Option(
            "--keep-auth/--overwrite-auth",
            help="Leave the roles, passwords and permissions of this node as they are, or restore them with the rest.",
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be restored, overwritten and created; touch nothing.")
    ] = False,
    in_place: Annotated[
        bool,
        typer.Option(
            "--in-place",
            help="This machine is, or shall become, the node that made the backup. Needed where nothing on it can tell.",
        ),
    ] = False,
    remote: Annotated[
        bool,
        typer.Option(
            "--remote",
            help="The backup is another node's, named by --fqdn before the command: this one takes over its data and"
            " tokens, but not who it is.",
        ),
    ] = False,
    seeds: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,…",
            help="Wait until one of these nodes is up, for an hour at most, before Cassandra is started.",
        ),
    ] = None,
    temp_dir: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="Where to keep the list of files to fetch. Data is always fetched beside the data directories.",
        ),
    ] = None,
    stop_first: Annotated[
        bool,
        typer.Option(
            "--stop-first",
            help="Stop Cassandra and delete its data before the backup is fetched, where there is no space for both."
            " There is no way back.",
        ),
    ] = False,
    yes: Annotated[bool, typer.Option("-y", "--yes", help="Do not ask before data is deleted.")] = False,
    verify: Annotated[
        bool,
        typer.Option(
            "--verify/--no-verify",
            help="Run the health check of [checks], read of each table and ask its indexes, before the old data is dropped.",
        ),
    ] = True,
    use_sstableloader: Annotated[
        bool,
        typer.Option(
            "--use-sstableloader",
            help="Load the backups of the nodes that --fqdn NAME,… names before the command into the cluster that runs"
            " here, whatever its topology. Its tables have to be there, and what is in them stays.",
        ),
    ] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Take back a restore that is not over.")] = False,
    leave_job: Annotated[
        bool,
        typer.Option(
            "--leave-job",
            help="Also when it is part of a restore of the whole cluster: --undo takes this node back without the others, a"
            " backup's name finishes it where the job has ended without it.",
        ),
    ] = False,
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
    _version_target: Annotated[str | None, typer.Option("--version-target", hidden=True)] = None,
) -> None:
    """Restore this node from its backup.

    All of it, or with --keyspace and --table only some tables, in place. Everything is checked and fetched before
    Cassandra is stopped; until the restored node has proved healthy, every failure puts the old data back. Interrupted,
    run the same command again to finish, or --undo to go back.
    """
    if backup_name is None and not undo:
        raise typer.BadParameter("a name is needed; list-backups shows what there is", param_hint="--backup-name")
    if remote and in_place:
        raise typer.BadParameter(
            "says that the backup is another node's, --in-place that it is not", param_hint="--remote"
        )
    of_stopping = in_place or remote or stop_first or seeds or undo or leave_job or ignore_ring_changes or yes
    if use_sstableloader and of_stopping:
        raise typer.BadParameter(
            "leaves the node as it is and running: no --in-place, --remote, --stop-first, --seeds, --undo, --leave-job,"
            " --ignore-ring-changes or --yes",
            param_hint="--use-sstableloader",
        )
    from shipper.cli.loading import LoadOptions, run_load
    from shipper.cli.restoring import RestoreOptions, run_restore, run_undo

    if use_sstableloader and backup_name is not None:
        loads = LoadOptions(
            keyspaces=tuple(keyspace or ()),
            tables=tuple(table or ()),
            keep_auth=keep_auth,
            verify=verify,
            accept_corrupt=accept_corrupt,
            without_hold=without_hold,
            temp_dir=temp_dir,
            dry_run=dry_run,
        )
        run_load(context.obj, backup_name, loads)
        return
    if backup_name is None or undo:
        run_undo(context.obj, leave_job=leave_job)
        return
    flags = RestoreOptions(
        in_place=in_place,
        remote=remote,
        stop_first=stop_first,
        yes=yes,
        verify=verify,
        accept_corrupt=accept_corrupt,
        ignore_ring_changes=ignore_ring_changes,
        without_hold=without_hold,
        temp_dir=temp_dir,
        seeds=tuple(name.strip() for name in (seeds or "").split(",") if name.strip()),
        keyspaces=tuple(keyspace or ()),
        tables=tuple(table or ()),
        keep_auth=keep_auth,
        leave_job=leave_job,
        dry_run=dry_run,
    )
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
