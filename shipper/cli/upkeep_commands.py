"""The commands that keep the list of backups, and examine and make what all of it stands on; their options for ``--help``."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from shipper.cli.parameters import AsText, Output


class Area(Enum):
    """What the doctor looks at."""

    settings = "settings"
    names = "names"
    store = "store"
    index = "index"
    stock = "stock"
    node = "node"


Areas = Annotated[
    list[Area] | None,
    typer.Option(
        "--only", metavar="AREA", help=f"Only {', '.join(area.value for area in Area)}. May be given several times."
    ),
]


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


def generate_keys(
    directory: Annotated[Path, typer.Argument(metavar="DIR", hidden=True)],
) -> None:
    """Make a pair of keys for cluster jobs.

    They are written into DIR. A coordinator signs its commands with the private one, and nodes obey what the public
    one says is genuine. It tells what to put where.
    """
    from shipper.cli.keys import run_generate_keys

    run_generate_keys(directory)


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
    It verifies what has become complete, and purges and reports where purge_schedule and report_schedule say when.
    With a signing_key_file it coordinates cluster restores and backups.
    It can be stopped, killed and run twice at any time. Without --prefix it serves all clusters of the bucket.
    """
    from shipper.cli.serving import run_serve

    run_serve(context.obj.with_overrides(listen=listen), once=once)


def register(app: typer.Typer) -> None:
    """Add them to the program."""
    app.command("build-index")(build_index)
    app.command("doctor")(doctor)
    app.command("generate-keys")(generate_keys)
    app.command("serve")(serve)
