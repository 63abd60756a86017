"""The command that stays: ``agent``."""

from __future__ import annotations

import typer


def agent(context: typer.Context) -> None:
    """Back up when due, and obey commands.

    To run on every node, as a service. backup_schedule says when it backs up; all nodes with the same schedule give a
    backup the same name. With command_keys_file, it takes part in cluster restores and backups: it obeys what a
    coordinator has signed and put into the bucket. It can be stopped and killed at any time, and goes on when it is
    started again. How it is it says at agent_listen.
    """
    from shipper.cli.agent_running import run_agent

    run_agent(context.obj)


def register(app: typer.Typer) -> None:
    """Add it to the program."""
    app.command("agent")(agent)
