"""The commands that look at backups, and their options as ``--help`` shows them."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import typer

from shipper.cli.parameters import AsText, BackupName, Output


class HowClosely(Enum):
    """How closely a backup is looked at."""

    listing = "listing"
    structure = "structure"
    content = "content"


Depth = Annotated[HowClosely, typer.Option("--level", metavar="listing|structure|content", help="How closely to look.")]


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


def status(context: typer.Context, backup_name: BackupName, output: AsText = Output.text) -> None:
    """Show the status of a backup."""
    from shipper.cli.reading import run_status

    run_status(context.obj, backup_name, output=output.value)


def get_last_complete_cluster_backup(context: typer.Context) -> None:
    """Print the last complete backup's name.

    Of the cluster backups that are complete, sound and whole, the one that finished last.
    """
    from shipper.cli.reading import run_last_complete

    run_last_complete(context.obj)


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


def fetch_tokenmap(context: typer.Context, backup_name: BackupName) -> None:
    """Print nodes and tokens of a backup."""
    from shipper.cli.reading import run_tokenmap

    run_tokenmap(context.obj, backup_name)


def register(app: typer.Typer) -> None:
    """Add them to the program."""
    app.command("list-backups")(list_backups)
    app.command("status")(status)
    app.command("get-last-complete-cluster-backup")(get_last_complete_cluster_backup)
    app.command("report-last-backup")(report_last_backup)
    app.command("verify")(verify)
    app.command("fetch-tokenmap")(fetch_tokenmap)
