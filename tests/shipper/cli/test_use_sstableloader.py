"""``restore-node --use-sstableloader``, as far as it goes without Cassandra: what does not go together, and what is not there."""

from __future__ import annotations

import pytest

from tests.settings.node import cassandra_yaml
from tests.shipper.cli.program import Program

LOAD = ("restore-node", "--backup-name", "b1", "--use-sstableloader")


@pytest.mark.parametrize(
    "flag",
    [
        ("--in-place",),
        ("--remote",),
        ("--stop-first",),
        ("--seeds", "n1"),
        ("--undo",),
        ("--leave-job",),
        ("--ignore-ring-changes",),
        ("--yes",),
    ],
)
def test_what_stops_the_node_or_makes_it_another_does_not_go_with_it(program: Program, flag: tuple[str, ...]) -> None:
    done = program.run(*LOAD, *flag)
    assert done.code == 2
    assert "leaves the node as it is and running" in " ".join(done.err.split())


@pytest.mark.parametrize("named", ["n1", "n1,n2, n3"])
def test_a_backup_that_is_not_there_is_named_before_anything_else(program: Program, named: str) -> None:
    cassandra_yaml(program.directory)
    program.maker().ship("b0")
    asked = Program(program.directory, cassandra=(f"config_file = {program.directory}/cassandra.yaml",))
    done = asked.run("--fqdn", named, *LOAD)
    assert done.code == 1
    assert "There is no backup b1 of n1" in done.err
