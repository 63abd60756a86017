"""The commands that move a whole cluster, by a job that its agents carry out; their options as ``--help`` shows them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from backupstore.core import names
from shipper.cli.node_commands import How
from shipper.cli.parameters import AsText, BackupName, Keyspaces, Output, Tables

SeedTarget = Annotated[
    str | None,
    typer.Option(metavar="HOST[:PORT]", help="A node of the target that is up: it tells who is in its ring, by CQL."),
]
SeedOfCluster = Annotated[
    str | None,
    typer.Option(metavar="HOST[:PORT]", help="A node of the cluster that is up: it tells who is in its ring, by CQL."),
]
Job = Annotated[str, typer.Argument(metavar="JOB", hidden=True)]
Without = Annotated[
    list[str] | None,
    typer.Option(
        "--without",
        metavar="NODE",
        help="Give up this node, for which the job waits: it is gone for good. Asks for its name. May be given several times.",
    ),
]
TempDir = Annotated[
    Path | None,
    typer.Option(metavar="PATH", help="Accepted for stock's sake; each node fetches beside its data directories."),
]
NoTempDir = Annotated[Path | None, typer.Option(metavar="PATH", help="Accepted for stock's sake; without effect.")]
AtOnce = Annotated[
    int,
    typer.Option("--parallel-restores", "-pr", metavar="N", min=0, help="Nodes that fetch at once; 0 for all."),
]


def restore_cluster(
    context: typer.Context,
    backup_name: BackupName,
    seed_target: SeedTarget = None,
    temp_dir: TempDir = None,
    host_list: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="A file that says who takes whose place: IS-SEED,TARGET,SOURCE a line."),
    ] = None,
    keep_auth: Annotated[
        bool,
        typer.Option("--keep-auth/--overwrite-auth", help="Keep system_auth as found on the nodes, or overwrite it."),
    ] = False,
    bypass_checks: Annotated[bool, typer.Option("-y", "--bypass-checks", help="Do not ask before it begins.")] = False,
    verify: Annotated[
        bool,
        typer.Option(
            "--verify/--no-verify",
            help="Run the health check of [checks], read of each table and ask its indexes, before old data is dropped.",
        ),
    ] = True,
    keyspace: Keyspaces = None,
    table: Tables = None,
    use_sstableloader: Annotated[
        bool,
        typer.Option("--use-sstableloader", help="Load the backup into the running cluster, whatever its ring is."),
    ] = False,
    parallel_restores: AtOnce = 0,
    ignore_racks: Annotated[
        bool, typer.Option("--ignore-racks", help="Pair nodes without regard to racks; a repair is needed afterwards.")
    ] = False,
    accept_incomplete: Annotated[
        bool, typer.Option("--accept-incomplete", help="Load what there is of a backup that is not complete.")
    ] = False,
    stop_first: Annotated[
        bool,
        typer.Option("--stop-first", help="Delete the old data first, to save its space; nobody can go back then."),
    ] = False,
    seeds: Annotated[
        list[str] | None,
        typer.Option(metavar="NODE", help="This target is a seed, and starts first. May be given several times."),
    ] = None,
    datacenter: Annotated[
        list[str] | None,
        typer.Option(
            metavar="OLD=NEW", help="The backup's datacenter OLD is NEW on the target. May be given several times."
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show the plan; write nothing.")] = False,
    _version_target: Annotated[str | None, typer.Option("--version-target", hidden=True)] = None,
) -> None:
    """Restore the whole cluster.

    Shows who restores what and what is overwritten, asks, and writes a job that the agents of the nodes carry out and
    'serve', or a function, coordinates. Without --seed-target and --host-list, the target is the ring that the
    newest backups show. Until all nodes have proved healthy every failure puts all old data back, but not with --stop-first,
    nor once rows are loaded. Ctrl-C leaves the job to itself; restore-status comes back to it.
    """
    if seed_target is not None and host_list is not None:
        raise typer.BadParameter("give one of --seed-target and --host-list", param_hint="--seed-target")
    from shipper.cli.cluster_restoring import ClusterOptions, run_restore_cluster

    del temp_dir
    options = ClusterOptions(
        seed_target=seed_target,
        host_list=host_list,
        seeds=tuple(seeds or ()),
        datacenters=_pairs(datacenter or []),
        keyspaces=_keyspaces(keyspace or []),
        tables=_tables(table or []),
        keep_auth=keep_auth,
        verify=verify,
        use_sstableloader=use_sstableloader,
        parallel=parallel_restores,
        ignore_racks=ignore_racks,
        accept_incomplete=accept_incomplete,
        stop_first=stop_first,
    )
    run_restore_cluster(context.obj, backup_name, options, sure=bypass_checks, dry_run=dry_run)


def backup_cluster(
    context: typer.Context,
    backup_name: Annotated[
        str | None, typer.Option(metavar="NAME", help="Name of the backup. [default: the time in UTC: 202611230215]")
    ] = None,
    seed_target: SeedOfCluster = None,
    mode: Annotated[
        How | None,
        typer.Option(metavar="differential|full", help="As in backup. [default: as each node's agent is set]"),
    ] = None,
    keyspace: Keyspaces = None,
    table: Tables = None,
    parallel_uploads: Annotated[
        int, typer.Option("--parallel-uploads", "-pu", metavar="N", min=0, help="Nodes at once; 0 for all.")
    ] = 0,
    temp_dir: NoTempDir = None,
    _enable_md5_checks: Annotated[
        bool,
        typer.Option(
            "--enable-md5-checks", help="Accepted for stock's sake; how files are compared is set on each node."
        ),
    ] = False,
    _parallel_snapshots: Annotated[int, typer.Option("--parallel-snapshots", "-ps", hidden=True)] = 0,
) -> None:
    """Back the whole cluster up.

    A job that the agents of the nodes carry out, followed as restore-cluster follows one. Without --seed-target, the nodes
    are those of the ring that the newest backups show.
    """
    from shipper.cli.cluster_backing_up import BackupOptions, run_backup_cluster

    del temp_dir
    options = BackupOptions(
        seed_target, mode.value if mode else None, _keyspaces(keyspace or []), _tables(table or []), parallel_uploads
    )
    run_backup_cluster(context.obj, backup_name, options)


def restore_status(
    context: typer.Context,
    job: Annotated[str | None, typer.Argument(metavar="JOB", hidden=True)] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Stay with it until it is over.")] = False,
    output: AsText = Output.text,
) -> None:
    """Show where cluster jobs stand.

    Restores and backups of the whole cluster: without a JOB all of them, else that one with its nodes. Exit code 1 when it
    ended badly.
    """
    if follow and (job is None or output is Output.json):
        raise typer.BadParameter("needs a JOB, and text", param_hint="--follow")
    from shipper.cli.jobs import run_jobs, run_status

    if job is None:
        run_jobs(context.obj, output=output.value)
    else:
        run_status(context.obj, job, follow=follow, output=output.value)


def restore_resume(context: typer.Context, job: Job, without: Without = None) -> None:
    """Let a job that waits go on.

    The JOB is named as restore-status lists it. What was asked of its nodes is asked again. Nodes that have done it already say so at once.
    """
    from shipper.cli.jobs import run_wish

    run_wish(context.obj, job, "resume", tuple(without or ()))


def restore_rollback(context: typer.Context, job: Job, without: Without = None) -> None:
    """Take a cluster restore back.

    The JOB is named as restore-status lists it. Until all nodes have proved healthy: every node puts its old data back,
    and then all of them start.
    """
    from shipper.cli.jobs import run_wish

    run_wish(context.obj, job, "rollback", tuple(without or ()))


def register(app: typer.Typer) -> None:
    """Add them to the program."""
    app.command("restore-cluster")(restore_cluster)
    app.command("backup-cluster")(backup_cluster)
    app.command("restore-status")(restore_status)
    app.command("restore-resume")(restore_resume)
    app.command("restore-rollback")(restore_rollback)


def _pairs(given: list[str]) -> dict[str, str]:
    """From ``OLD=NEW``."""
    found: dict[str, str] = {}
    for text in given:
        before, equals, now = text.partition("=")
        if not (before and equals and now) or before in found:
            raise typer.BadParameter("give each as OLD=NEW, and each OLD once", param_hint="--datacenter")
        found[before] = now
    return found


def _keyspaces(given: list[str]) -> tuple[str, ...]:
    if not all(map(names.is_keyspace, given)):
        raise typer.BadParameter("a keyspace has letters, digits and _ only in its name", param_hint="--keyspace")
    return tuple(given)


def _tables(given: list[str]) -> tuple[str, ...]:
    """As ``keyspace.table``."""
    if not all(map(names.is_table, given)):
        raise typer.BadParameter("give each as KEYSPACE.TABLE", param_hint="--table")
    return tuple(given)
