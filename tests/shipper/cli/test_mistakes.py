"""Mistakes: said in words, with what to do next, in an exit code, and never as a stack trace."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.shipper.cli.program import Program, run

MEDUSA = [sys.executable, "-m", "shipper"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nonsense"], "No such command 'nonsense'"),
        (["--nonsense"], "No such option"),
        (["list-backups", "extra"], "extra"),
        (["list-backups", "--output", "xml"], "'xml' is not one of 'text', 'json'"),
        (["backup", "--mode", "incremental"], "'incremental' is not one of 'differential', 'full'"),
        (["backup", "--use-existing-snapshot"], "--backup-name"),
        (
            ["backup", "--use-existing-snapshot", "--backup-name", "a", "--table", "a.b"],
            "neither --keyspace nor --table",
        ),
        (["status"], "--backup-name"),
        (["restore-node"], "list-backups shows what there is"),
        (["download", "--backup-name", "a"], "--download-destination"),
        (["-v"], "Missing command"),
    ],
)
def test_wrong_usage_is_exit_code_2(program: Program, arguments: list[str], said: str) -> None:
    done = program.run(*arguments)
    assert done.code == 2
    assert said in done.err
    assert "Traceback" not in done.err
    assert not done.out


def test_no_arguments_at_all_show_the_help() -> None:
    done = run(MEDUSA)
    assert done.code == 2
    assert "Commands:" in done.out + done.err


def test_a_bad_name_is_wrong_usage(program: Program) -> None:
    done = program.run("backup", "--backup-name", "manifest/1")
    assert done.code == 2
    assert "manifest/1" in done.err
    assert "→" in done.err


def test_all_mistakes_in_the_settings_are_told_at_once(program: Program) -> None:
    bad = Program(program.directory, storage=("concurrent_transfers = many",), shipper=("poll_interval = 0",))
    done = bad.run("--prefix", "a/b", "list-backups")
    assert done.code == 2
    assert "3 mistakes in the settings:" in done.err
    assert all(name in done.err for name in ("concurrent_transfers", "poll_interval", "prefix", "→"))


def test_no_configuration_at_all(tmp_path: Path) -> None:
    done = run([*MEDUSA, "--config-file", str(tmp_path / "medusa.ini"), "list-backups"])
    assert done.code == 2
    assert "does not exist" in done.err
    assert "→" in done.err


def test_keys_that_nobody_knows_are_warned_about_once(program: Program) -> None:
    odd = Program(program.directory, storage=("bukket = a",))
    assert odd.run("list-backups").err.count("bukket") == 1


@pytest.mark.parametrize(
    "command",
    [
        ("status", "--backup-name", "b1"),
        ("fetch-tokenmap", "--backup-name", "b1"),
        ("download", "--backup-name", "b1", "--download-destination", "."),
    ],
)
def test_an_unknown_backup_is_exit_code_1(program: Program, command: tuple[str, ...]) -> None:
    done = program.run(*command)
    assert done.code == 1
    assert "b1" in done.err
    assert "list-backups" in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    "command",
    [
        ("list-backups",),
        ("status", "--backup-name", "b1"),
        ("get-last-complete-cluster-backup",),
        ("report-last-backup",),
        ("build-index",),
        ("build-index", "--noop"),
        ("serve", "--once"),
        ("download", "--backup-name", "b1", "--download-destination", "."),
    ],
)
def test_a_bucket_that_is_not_mounted_is_no_empty_bucket(tmp_path: Path, command: tuple[str, ...]) -> None:
    done = Program(tmp_path).run(*command)
    assert done.code == 1
    assert "Is it mounted?" in done.err
    assert not done.out
    assert not (tmp_path / "bucket").exists()


def test_nobody_reads_the_output_any_more(program: Program) -> None:
    program.maker().ship("b1")
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as pipe:
        done = run(program.command("list-backups"), out=pipe)
    assert done.code == 1
    assert "Traceback" not in done.err
    assert "Exception" not in done.err


def test_without_cassandra_a_backup_says_so(program: Program) -> None:
    yaml = program.directory / "cassandra.yaml"
    yaml.write_text(
        f"cluster_name: c\nnative_transport_port: 1\nrpc_address: 127.0.0.1\nlisten_address: 127.0.0.1\n"
        f"data_file_directories: [{program.directory}]\ncommitlog_directory: {program.directory}\n"
        "seed_provider:\n- class_name: org.apache.cassandra.locator.SimpleSeedProvider\n"
        "  parameters: [{seeds: 127.0.0.1}]\n"
    )
    done = Program(program.directory, cassandra=(f"config_file = {yaml}",)).run("backup", "--backup-name", "b1")
    assert done.code == 1
    assert "127.0.0.1" in done.err
    assert "→" in done.err
    assert "Traceback" not in done.err
    assert not [path for path in program.bucket.rglob("*") if path.is_file()]


def test_a_cassandra_yaml_that_is_not_there(program: Program) -> None:
    done = Program(program.directory, cassandra=("config_file = /nowhere/cassandra.yaml",)).run("backup")
    assert done.code in {1, 2}
    assert "/nowhere/cassandra.yaml" in done.err
    assert "→" in done.err
    assert "Traceback" not in done.err
