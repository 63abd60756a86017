"""The commands that delete backups, or keep them from being deleted, and their options as ``--help`` shows them."""

from __future__ import annotations

from typing import Annotated

import typer

from shipper.cli.moments import parse_duration, parse_moment
from shipper.cli.parameters import BackupName

DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show what would be deleted, and why; write nothing.")]
Force = Annotated[
    bool, typer.Option("--force", help="Delete even more than [shipper] purge_max_share, or the newest backup.")
]
StockIsIdle = Annotated[
    bool,
    typer.Option("--stock-is-idle", help="Stock Medusa runs on no node now: sweep the shared data of its nodes too."),
]


def purge(
    context: typer.Context,
    dry_run: DryRun = False,
    force: Force = False,
    stock_is_idle: StockIsIdle = False,
    accept_ring: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="From this backup on, its nodes are all there are, though there were more."),
    ] = None,
) -> None:
    """Delete what the settings no longer keep.

    Backups of all nodes, by age, number and keep rules; never the newest complete one, and none that is held. Run
    it on one machine. Files that no backup needs are swept too. Interrupted, run it again.
    """
    from shipper.cli.purging import Manner, run_purge

    run_purge(context.obj, Manner(dry_run, force, stock_is_idle), accepted=accept_ring)


def delete_backup(
    context: typer.Context,
    backup_name: BackupName,
    dry_run: DryRun = False,
    force: Force = False,
    stock_is_idle: StockIsIdle = False,
) -> None:
    """Delete one backup of all nodes.

    Unless it is held. The newest complete one only with --force.
    """
    from shipper.cli.purging import Manner, run_delete

    run_delete(context.obj, backup_name, Manner(dry_run, force, stock_is_idle))


def purge_decommissioned(
    context: typer.Context,
    dry_run: DryRun = False,
    confirm: Annotated[
        bool, typer.Option("--confirm", help="All nodes that it lists have left the cluster for good.")
    ] = False,
    force: Force = False,
    stock_is_idle: StockIsIdle = False,
) -> None:
    """Purge nodes that have left the ring.

    Lists them with their backups; with --confirm, what the settings no longer keep is deleted, and from then on the ring
    of the newest complete backup is the one that backups are measured by.
    """
    from shipper.cli.purging import Manner, run_decommissioned

    run_decommissioned(context.obj, Manner(dry_run, force, stock_is_idle), confirmed=confirm)


def hold(
    context: typer.Context,
    backup_name: BackupName,
    why: Annotated[str, typer.Option(metavar="TEXT", help="The reason, for whoever meets the hold later.")],
    until: Annotated[
        str | None, typer.Option(metavar="DATE", help="When it ends, in UTC: 2026-12-31, 2026-12-31T18:00.")
    ] = None,
    lasting: Annotated[
        str | None, typer.Option("--for", metavar="TIME", help="How long it lasts: 12h, 30d, 8w.")
    ] = None,
) -> None:
    """Keep a backup from being deleted.

    Until it is released, or the time is over.
    """
    if until is not None and lasting is not None:
        raise typer.BadParameter("give one of --until and --for", param_hint="--until")
    expires = parse_moment(until) if until is not None else None
    from shipper.cli.holding import run_hold

    if lasting is not None:
        expires = context.obj.clock.now() + parse_duration(lasting)
    run_hold(context.obj, backup_name, why=why, expires=expires)


def release(
    context: typer.Context,
    backup_name: BackupName,
    hold_id: Annotated[
        list[str] | None, typer.Option("--id", metavar="ID", help="This hold. May be given several times.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All holds, those of running restores too.")] = False,
) -> None:
    """Release a backup that is held."""
    from shipper.cli.holding import run_release

    run_release(context.obj, backup_name, ids=hold_id or [], everything=everything)


def register(app: typer.Typer) -> None:
    """Add them to the program."""
    app.command("purge")(purge)
    app.command("delete-backup")(delete_backup)
    app.command("purge-decommissioned")(purge_decommissioned)
    app.command("hold")(hold)
    app.command("release")(release)
