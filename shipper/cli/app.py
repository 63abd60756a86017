"""The commands and their options, as ``--help`` shows them. What they do is imported when they run, so that help is quick."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shipper import VERSION
from shipper.cli import purge_commands
from shipper.cli.console import out
from shipper.cli.options import Globals
from shipper.cli.parameters import (
    Areas,
    AsText,
    BackupName,
    Depth,
    EnableMd5Checks,
    How,
    HowClosely,
    KeepSnapshot,
    Keyspaces,
    Output,
    Tables,
    UseExistingSnapshot,
)

app = typer.Typer(
    name="medusa-shipper",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    help="Back up and restore Apache Cassandra, in stock Medusa's bucket layout.",
)


def _show_version(wanted: bool) -> None:
    if wanted:
        out(f"medusa-shipper {VERSION}")
        raise typer.Exit


@app.callback()
def main(
    context: typer.Context,
    verbosity: Annotated[
        int,
        typer.Option(
            "-v", "--verbosity", count=True, show_default=False, help="Say more; -vv also what the libraries say."
        ),
    ] = 0,
    without_log_timestamp: Annotated[
        bool, typer.Option("--without-log-timestamp", help="Do not show timestamps in logs.")
    ] = False,
    config_file: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Configuration file. [default: /etc/medusa/medusa.ini]")
    ] = None,
    bucket_name: Annotated[str | None, typer.Option(metavar="NAME", help="Bucket name.")] = None,
    key_file: Annotated[str | None, typer.Option(metavar="PATH", help="File with credentials for the bucket.")] = None,
    prefix: Annotated[
        str | None, typer.Option(metavar="PREFIX", help="Prefix of this cluster in a shared bucket.")
    ] = None,
    fqdn: Annotated[str | None, typer.Option(metavar="NAME", help="Act as another node.")] = None,
    backup_grace_period_in_days: Annotated[
        int | None,
        typer.Option(metavar="DAYS", help="Days for which purge leaves files alone that no manifest names."),
    ] = None,
    ssh_username: Annotated[
        str | None, typer.Option(metavar="NAME", help="Accepted for stock's sake; no ssh is used.")
    ] = None,
    ssh_key_file: Annotated[
        str | None, typer.Option(metavar="PATH", help="Accepted for stock's sake; no ssh is used.")
    ] = None,
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


@app.command("restore-node")
@app.command("restore", hidden=True)
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


@app.command()
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


@app.command("list-backups")
def list_backups(
    context: typer.Context,
    show_all: Annotated[
        bool,
        typer.Option(
            "--show-all/--no-show-all",
            show_default=False,
            help="List all backups in the bucket, not only those of this node.",
        ),
    ] = False,
    output: AsText = Output.text,
) -> None:
    """List backups.

    Those with a backup of this node; --fqdn, before the command, chooses another one.
    """
    from shipper.cli.reading import run_list

    run_list(context.obj, show_all=show_all, output=output.value)


@app.command()
def status(context: typer.Context, backup_name: BackupName, output: AsText = Output.text) -> None:
    """Show the status of a backup."""
    from shipper.cli.reading import run_status

    run_status(context.obj, backup_name, output=output.value)


@app.command("get-last-complete-cluster-backup")
def get_last_complete_cluster_backup(context: typer.Context) -> None:
    """Print the last complete backup's name.

    Of the cluster backups that are complete, sound and whole, the one that finished last.
    """
    from shipper.cli.reading import run_last_complete

    run_last_complete(context.obj)


@app.command("report-last-backup")
def report_last_backup(
    context: typer.Context,
    push_metrics: Annotated[
        bool, typer.Option("--push-metrics", help="Also send the numbers where [monitoring] says.")
    ] = False,
    output: AsText = Output.text,
) -> None:
    """Tell how old the last backups are.

    The last one of this node, the last complete one of the cluster, the last verified one, and the one that began last.
    Exit code 1 when metrics were to be sent and could not.
    """
    from shipper.cli.reporting import run_report

    run_report(context.obj, push=push_metrics, output=output.value)


@app.command()
def verify(
    context: typer.Context,
    backup_name: BackupName,
    level: Depth = HowClosely.listing,
    checksums: Annotated[
        bool, typer.Option("--checksums", help="Ask the bucket for each object by itself, and read each TOC.txt.")
    ] = False,
    read_data_subset: Annotated[
        str | None,
        typer.Option(
            metavar="N%|I/N",
            help="With --level content: read only a part. A percentage takes another part each day, in turn.",
        ),
    ] = None,
    enable_md5_checks: Annotated[
        bool, typer.Option("--enable-md5-checks", help="Accepted for stock's sake; digests are always compared.")
    ] = False,
    record: Annotated[
        bool, typer.Option("--record/--no-record", help="Put down in the bucket what was found, for lists and reports.")
    ] = True,
    output: AsText = Output.text,
) -> None:
    """Verify the integrity of a backup.

    listing: each node has finished, and each object that a manifest names is there with its size and digest.
    structure: also, each SSTable is whole, and together the nodes hold every token range of every keyspace.
    content: also, all data is read and compared. Exit code 1 when anything is bad, or could not be checked.
    """
    del enable_md5_checks
    if read_data_subset is not None and level is not HowClosely.content:
        raise typer.BadParameter("needs --level content", param_hint="--read-data-subset")
    from shipper.cli.verifying import Flags, run_verify

    flags = Flags(level.value, checksums, read_data_subset or "", record)
    run_verify(context.obj, backup_name, flags, output=output.value)


@app.command("fetch-tokenmap")
def fetch_tokenmap(context: typer.Context, backup_name: BackupName) -> None:
    """Print nodes and tokens of a backup."""
    from shipper.cli.reading import run_tokenmap

    run_tokenmap(context.obj, backup_name)


@app.command("build-index")
def build_index(
    context: typer.Context,
    noop: Annotated[bool, typer.Option("--noop", help="Only print what would be listed; write nothing.")] = False,
) -> None:
    """Build the list of backups anew.

    The catalog and stock Medusa's index are made again from nothing but the backups in the bucket. Needed only where
    'serve' does not run.
    """
    from shipper.cli.serving import run_build_index

    run_build_index(context.obj, noop=noop)


@app.command()
def doctor(
    context: typer.Context,
    only: Areas = None,
    read_only: Annotated[
        bool,
        typer.Option("--read-only", help="Write no probe to the bucket: conditions and permissions are not checked."),
    ] = False,
    timeout: Annotated[int, typer.Option(metavar="SECONDS", min=1, help="For each check.")] = 30,
    output: AsText = Output.text,
) -> None:
    """Examine bucket, node and settings.

    One line for each check: OK, WARN, FAIL, or ? for what could not be checked; and what to do about it. It writes three
    small probes of its own to the bucket. Exit code 1 when something failed.
    """
    from shipper.cli.doctoring import run_doctor

    areas = [area.value for area in only or []]
    if not run_doctor(context.obj, only=areas, read_only=read_only, seconds=timeout, output=output.value):
        raise typer.Exit(1)


@app.command()
def serve(
    context: typer.Context,
    once: Annotated[bool, typer.Option("--once", help="Compare everything once and end, for a cron job.")] = False,
    listen: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS:PORT", help="Take webhooks of MinIO, Ceph RGW or versitygw there."),
    ] = None,
) -> None:
    """Keep the list of backups up to date.

    To run on one machine that sees the bucket: it notices what is written there, and now and then compares everything.
    It can be stopped, killed and run twice at any time. Without --prefix it serves all clusters of the bucket.
    """
    from shipper.cli.serving import run_serve

    run_serve(context.obj.with_overrides(listen=listen), once=once)


purge_commands.register(app)
