"""The commands and their options, as ``--help`` shows them. What they do is imported when they run, so that help is quick."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shipper import VERSION
from shipper.cli.console import out
from shipper.cli.options import Globals

app = typer.Typer(
    name="medusa-shipper",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    help="Back up and restore Apache Cassandra, in the bucket layout of cassandra-medusa.",
)

BackupName = Annotated[str, typer.Option("--backup-name", metavar="NAME", help="Name of the backup.")]
Keyspaces = Annotated[
    list[str] | None, typer.Option("--keyspace", metavar="KEYSPACE", help="Only this keyspace. May be given several times.")
]
Tables = Annotated[
    list[str] | None, typer.Option("--table", help="Only this table, as keyspace.table. May be given several times.")
]
Output = Annotated[str, typer.Option("--output", "-o", metavar="text|json", help="How to print it.")]


def _show_version(wanted: bool) -> None:
    if wanted:
        out(f"medusa-shipper {VERSION}")
        raise typer.Exit


@app.callback()
def main(
    context: typer.Context,
    verbosity: Annotated[
        int, typer.Option("-v", "--verbosity", count=True, help="Say more; -vv also what the driver says.")
    ] = 0,
    without_log_timestamp: Annotated[
        bool, typer.Option("--without-log-timestamp", help="Do not show timestamps in logs.")
    ] = False,
    config_file: Annotated[
        Path | None, typer.Option(help="Configuration file. [default: /etc/medusa/medusa.ini]")
    ] = None,
    bucket_name: Annotated[str | None, typer.Option(help="Bucket name.")] = None,
    key_file: Annotated[str | None, typer.Option(help="File with credentials for the bucket.")] = None,
    prefix: Annotated[str | None, typer.Option(help="Prefix of this cluster in a shared bucket.")] = None,
    fqdn: Annotated[str | None, typer.Option(help="Act as another node.")] = None,
    backup_grace_period_in_days: Annotated[
        int | None, typer.Option(help="Days for which files that no manifest names are kept.")
    ] = None,
    ssh_username: Annotated[str | None, typer.Option(help="Accepted for stock's sake; no ssh is used.")] = None,
    ssh_key_file: Annotated[str | None, typer.Option(help="Accepted for stock's sake; no ssh is used.")] = None,
    _version_shown: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Global options."""
    given = {
        "bucket_name": bucket_name,
        "key_file": key_file,
        "prefix": prefix,
        "fqdn": fqdn,
        "backup_grace_period_in_days": backup_grace_period_in_days,
        "ssh_username": ssh_username,
        "ssh_key_file": ssh_key_file,
    }
    overrides = {name: str(value) for name, value in given.items() if value is not None}
    context.obj = Globals(config_file, overrides, verbosity, not without_log_timestamp)


@app.command()
@app.command("backup-node", hidden=True)
def backup(
    context: typer.Context,
    backup_name: Annotated[
        str | None, typer.Option(help="Custom name. [default: the time in UTC, like 202611230215]")
    ] = None,
    mode: Annotated[
        str, typer.Option(help="differential: upload what the bucket does not hold yet. full: everything, apart.")
    ] = "differential",
    keyspace: Keyspaces = None,
    table: Tables = None,
    keep_snapshot: Annotated[bool, typer.Option("--keep-snapshot", help="Leave the snapshot on the node.")] = False,
) -> None:
    """Back this node up.

    Run it on every node with the same --backup-name to back the cluster up. A backup that was interrupted is finished
    by running it again with its name.
    """
    from shipper.cli.node import run_backup

    run_backup(
        context.obj,
        name=backup_name,
        mode=mode,
        keyspaces=keyspace or [],
        tables=table or [],
        keep_snapshot=keep_snapshot,
    )


@app.command("restore-node")
@app.command("restore", hidden=True)
def restore_node(
    context: typer.Context,
    backup_name: Annotated[str | None, typer.Option(help="Name of the backup.")] = None,
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
            help="Where to keep work files. Data is always fetched beside the data directories, on their file systems."
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
    """Restore this node, whole, from its own backup.

    Everything is checked and fetched before Cassandra is stopped; until the restored node has proved healthy, every
    failure puts the old data back. Interrupted, run the same command again to finish, or --undo to go back.
    """
    from shipper.cli.node import RestoreOptions, run_restore, run_undo

    if undo:
        run_undo(context.obj)
        return
    if backup_name is None:
        raise typer.BadParameter("a name is needed; list-backups shows what there is", param_hint="--backup-name")
    flags = RestoreOptions(in_place, verify, accept_corrupt, ignore_ring_changes, without_hold, temp_dir)
    run_restore(context.obj, backup_name, flags)


@app.command()
def download(
    context: typer.Context,
    backup_name: BackupName,
    download_destination: Annotated[Path, typer.Option(help="An existing directory to download into.")],
    keyspace: Keyspaces = None,
    table: Tables = None,
    ignore_system_keyspaces: Annotated[
        bool, typer.Option("--ignore-system-keyspaces", help="Leave Cassandra's own keyspaces out.")
    ] = False,
) -> None:
    """Download a node's backup, every digest checked. --fqdn chooses another node."""
    from shipper.cli.node import run_download

    run_download(
        context.obj,
        backup_name,
        download_destination,
        keyspaces=keyspace or [],
        tables=table or [],
        ignore_system=ignore_system_keyspaces,
    )


@app.command("list-backups")
def list_backups(
    context: typer.Context,
    show_all: Annotated[
        bool,
        typer.Option("--show-all/--no-show-all", help="List all backups in the bucket, not only those of this node."),
    ] = False,
    output: Output = "text",
) -> None:
    """List backups."""
    from shipper.cli.reading import run_list

    run_list(context.obj, show_all=show_all, output=output)


@app.command()
def status(context: typer.Context, backup_name: BackupName, output: Output = "text") -> None:
    """Show the status of a backup."""
    from shipper.cli.reading import run_status

    run_status(context.obj, backup_name, output=output)


@app.command("get-last-complete-cluster-backup")
def get_last_complete_cluster_backup(context: typer.Context) -> None:
    """Print the name of the latest complete cluster backup."""
    from shipper.cli.reading import run_last_complete

    run_last_complete(context.obj)


@app.command("fetch-tokenmap")
def fetch_tokenmap(context: typer.Context, backup_name: BackupName) -> None:
    """Print the nodes of a backup with their tokens."""
    from shipper.cli.reading import run_tokenmap

    run_tokenmap(context.obj, backup_name)


@app.command("build-index")
def build_index(
    context: typer.Context,
    noop: Annotated[
        bool, typer.Option("--noop", help="Only show what would be in the catalog; write nothing.")
    ] = False,
) -> None:
    """Build the catalog and stock's index from nothing but the backups in the bucket."""
    from shipper.cli.serving import run_build_index

    run_build_index(context.obj, noop=noop)


@app.command()
def serve(
    context: typer.Context,
    once: Annotated[bool, typer.Option("--once", help="Reconcile once and end, for a cron job.")] = False,
) -> None:
    """Keep the catalog of a bucket up to date, on one machine: watch it, and reconcile now and then."""
    from shipper.cli.serving import run_serve

    run_serve(context.obj, once=once)
