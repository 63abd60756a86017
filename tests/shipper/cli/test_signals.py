"""Ctrl-C and a service manager's SIGTERM end a command in order, and it says how to go on."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from tests.shipper.cli.program import Program, Running, until

YAML = """
cluster_name: c
rpc_address: 127.0.0.1
listen_address: 127.0.0.1
native_transport_port: {port}
data_file_directories: [{directory}]
commitlog_directory: {directory}
seed_provider:
- class_name: org.apache.cassandra.locator.SimpleSeedProvider
  parameters: [{{seeds: 127.0.0.1}}]
"""


@contextmanager
def silent_cassandra(directory: Path) -> Iterator[tuple[Program, socket.socket]]:
    """A node that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yaml = directory / "cassandra.yaml"
        yaml.write_text(YAML.format(port=server.getsockname()[1], directory=directory))
        (directory / "bucket").mkdir(exist_ok=True)
        yield Program(directory, cassandra=(f"config_file = {yaml}",)), server


def running(program: Program) -> AbstractContextManager[Running]:
    return program.running("backup", "--backup-name", "b1", "--mode", "full", "--table", "shop.orders")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_backup_that_is_ended_says_how_to_go_on(tmp_path: Path, number: signal.Signals) -> None:
    with silent_cassandra(tmp_path) as (program, server), running(program) as backup:
        connection, _ = server.accept()
        backup.process.send_signal(number)
        assert backup.process.wait(10) == 130
        connection.close()
        assert backup.said("interrupted")
        assert backup.said("Run 'backup --backup-name b1 --mode full --table shop.orders' to go on")
        assert not backup.said("Traceback")


def test_the_default_name_is_told_with_it(tmp_path: Path) -> None:
    with silent_cassandra(tmp_path) as (program, server), program.running("backup") as backup:
        connection, _ = server.accept()
        backup.process.terminate()
        assert backup.process.wait(10) == 130
        connection.close()
        (name,) = {word for word in backup.log.read_text().split() if word.isdecimal() and len(word) == 12}
        assert backup.said(f"--backup-name {name}'")


def test_a_lock_is_let_go(tmp_path: Path) -> None:
    with silent_cassandra(tmp_path) as (program, server):
        for _ in range(2):
            with program.running("backup", "--backup-name", "b1") as backup:
                connection, _ = server.accept()
                backup.process.terminate()
                assert backup.process.wait(10) == 130
                connection.close()
                assert not backup.said("is running")


def test_a_second_backup_meanwhile_is_told_who_is_at_work(tmp_path: Path) -> None:
    with silent_cassandra(tmp_path) as (program, server), program.running("backup", "--backup-name", "b1") as first:
        connection, _ = server.accept()
        until((tmp_path / "state/lock").exists)
        second = program.run("backup", "--backup-name", "b2")
        assert second.code == 1
        assert "backup b1" in second.err
        assert "→" in second.err
        first.process.kill()
        connection.close()
