"""Ctrl-C and a service manager's SIGTERM end a command in order, and it says how to go on."""

from __future__ import annotations

import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.shipper.cli.program import Program, Running, run, until

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


SIGNALLED = """
import os, signal, sys, threading
from shipper.__main__ import main

left = [signal.SIGTERM]
def signalled():
    while left:
        os.kill(os.getpid(), left.pop())
"""
WAIT = """
class Torn(threading.Condition):
    def _acquire_restore(self, state):
        signalled()
        super()._acquire_restore(state)
from shipper.agent.loop import Agent
begin = Agent.run
def run(agent):
    agent._wake._cond = Torn(threading.Lock())
    begin(agent)
Agent.run = run
"""
START = """
begin = threading.Thread.start
def start(thread):
    if thread.name == "looking at the node":
        signalled()
    begin(thread)
threading.Thread.start = start
"""
MAIN = """
sys.argv[0] = "medusa-shipper"
main()
"""


@pytest.mark.parametrize("torn", [WAIT, START])
def test_a_signal_that_tears_what_python_is_about_ends_the_agent_well(tmp_path: Path, torn: str) -> None:
    """A wait that is taking its lock back, or a thread that is being started."""
    with silent_cassandra(tmp_path) as (made, _):
        program = replace(made, shipper=("backup_schedule = 0 2 * * *",))
        done = run([sys.executable, "-c", SIGNALLED + torn + MAIN, *program.command("agent")[3:]], program.environment)
        assert done.code == 0, done.err
        assert "stopped" in done.err
        assert "defect" not in done.err


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
