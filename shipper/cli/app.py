"""The program and its global options; the commands stand in modules by their kind, in the order of ``--help``.

What commands do is imported when they run, so that help is quick.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shipper import VERSION
from shipper.cli import agent_commands, cluster_commands, look_commands, node_commands, purge_commands, upkeep_commands
from shipper.cli.console import out
from shipper.cli.options import Globals

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


node_commands.register(app)
cluster_commands.register(app)
look_commands.register(app)
upkeep_commands.register(app)
agent_commands.register(app)
purge_commands.register(app)
