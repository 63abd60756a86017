"""The harness by hand: `python -m tests.harness up --nodes 3`, then `status`, `stop`, `wipe`.

Clusters made here are detached: they stay until `wipe`. Each has a name, under which it is
found again.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.harness import claims
from tests.harness.cluster import Cluster
from tests.harness.config import ClusterConfig
from tests.harness.errors import HarnessError
from tests.harness.node import Node


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 0 if it went well."""
    options = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], None] = options.command
    try:
        command(options)
    except HarnessError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _up(options: argparse.Namespace) -> None:
    """Make a cluster, or start again the one of this name."""
    directory = _directory(options)
    if (directory / "cluster.json").exists():
        cluster = Cluster.open(directory)
    else:
        fields = {field.name for field in dataclasses.fields(ClusterConfig)}
        given = {key: value for key, value in vars(options).items() if key in fields}
        cluster = Cluster.create(ClusterConfig(**given, detached=True), directory)
    cluster.start()
    _status(options)


def _down(options: argparse.Namespace) -> None:
    """Stop all nodes; what they hold stays."""
    Cluster.open(_directory(options)).stop()


def _wipe(options: argparse.Namespace) -> None:
    """Kill all nodes and remove all they hold."""
    Cluster.open(_directory(options)).wipe()


def _status(options: argparse.Namespace) -> None:
    """Tell of each node where it is and whether it runs."""
    for node in Cluster.open(_directory(options)).nodes:
        state = "up" if node.answers else "starting" if node.running else "down"
        sys.stdout.write(f"{node.name} {node.ip} jmx={node.jmx_port} {state} pid={node.pid} {node.directory}\n")


def _start(options: argparse.Namespace) -> None:
    """Start one node and wait for it."""
    _node(options).start()


def _stop(options: argparse.Namespace) -> None:
    """Stop one node."""
    _node(options).stop()


def _nodetool(options: argparse.Namespace) -> None:
    """Run nodetool on a node."""
    arguments: list[str] = options.arguments
    done = _node(options).attempt("nodetool", *arguments[arguments[:1] == ["--"] :])
    sys.stdout.write(done.stdout)
    if done.returncode:
        raise HarnessError(done.stderr.strip() or f"nodetool ended with {done.returncode}")


def _node(options: argparse.Namespace) -> Node:
    number: int = options.node
    nodes = Cluster.open(_directory(options)).nodes
    if not 1 <= number <= len(nodes):
        raise HarnessError(f"there are nodes 1 to {len(nodes)}, no node {number}")
    return nodes[number - 1]


def _directory(options: argparse.Namespace) -> Path:
    chosen: Path | None = options.directory
    return chosen or claims.runtime_dir() / "named" / options.name


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.harness", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="command")
    _up_options(_command(commands, "up", _up))
    for name, command in (("down", _down), ("wipe", _wipe), ("status", _status)):
        _command(commands, name, command)
    for name, command in (("start", _start), ("stop", _stop), ("nodetool", _nodetool)):
        _command(commands, name, command).add_argument("--node", type=int, default=1)
    commands.choices["nodetool"].add_argument("arguments", nargs=argparse.REMAINDER)
    return parser


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    command: Callable[[argparse.Namespace], None],
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=command.__doc__)
    parser.set_defaults(command=command)
    parser.add_argument("--name", default="harness", help="the cluster's name")
    parser.add_argument("--directory", type=Path, help="where it lies, if not in the runtime directory")
    return parser


def _up_options(parser: argparse.ArgumentParser) -> None:
    defaults = ClusterConfig()
    for name in ("nodes", "num_tokens", "data_dirs", "datacenters", "racks"):
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=getattr(defaults, name))
    parser.add_argument("--version", default=defaults.version, help="of Cassandra")
    parser.add_argument("--sstable-format", choices=("big", "bti"), default=defaults.sstable_format)
    parser.add_argument("--auth", action="store_true", help="ask for a login")
    parser.add_argument("--incremental", action="store_true", help="keep incremental backups")


if __name__ == "__main__":
    sys.exit(main())
