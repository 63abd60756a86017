"""Stopping and starting something that only pretends."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from backupstore.errors import NodeTrouble
from shipper.cassandra.holders import holders
from shipper.cassandra.service import Commands, Limits, Presence, Service
from shipper.cassandra.wire import Address

NOBODY = Address("127.0.0.1", 1)


class Ticking:
    """A clock that moves only by sleeping."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> float:
        return self.seconds

    def running(self) -> float:
        return self.seconds

    def boot_id(self) -> str:
        return "boot"

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


def service(directory: Path, *, stop: tuple[str, ...] = ("true",), start: tuple[str, ...] = ("true",)) -> Service:
    presence = Presence(NOBODY, NOBODY, directories=(directory,))
    return Service(Commands(start, stop), presence, Limits(stop=20, start=20), Ticking())


@pytest.fixture
def squatter(tmp_path: Path) -> Iterator[int]:
    """A process that keeps a file in the directory open, and takes its time to end."""
    code = "import sys\nfile = open(sys.argv[1], 'w')\nprint('ready', flush=True)\nsys.stdin.read()"
    command = [sys.executable, "-c", code, str(tmp_path / "CommitLog-8-1.log")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process.pid
        process.kill()


def test_what_is_down_can_be_stopped_even_by_a_failing_command(tmp_path: Path) -> None:
    service(tmp_path).stop()
    service(tmp_path, stop=("false",)).stop()
    assert service(tmp_path).traces() == ()


def test_a_process_with_open_files_is_seen(tmp_path: Path, squatter: int) -> None:
    (holder,) = holders([tmp_path])
    assert (holder.pid, holder.path) == (squatter, str(tmp_path / "CommitLog-8-1.log"))
    assert str(squatter) in str(holder)
    assert holders([tmp_path / "CommitLog"]) == ()
    (tmp_path / "link").symlink_to(tmp_path)
    assert holders([tmp_path / "link"]) == (holder,)


def test_our_own_files_do_not_count(tmp_path: Path) -> None:
    with (tmp_path / "mine").open("w"):
        assert holders([tmp_path]) == ()
    assert os.getpid()


def test_one_that_only_says_it_stopped_is_caught(tmp_path: Path, squatter: int) -> None:
    with pytest.raises(NodeTrouble, match=rf"did not stop: after 20 seconds: \w+.* \(pid {squatter}\) has .*CommitLog"):
        service(tmp_path).stop()


@pytest.mark.usefixtures("squatter")
def test_a_stop_command_that_fails_says_so_at_once(tmp_path: Path) -> None:
    with pytest.raises(NodeTrouble, match=r"did not stop: 'sh' failed with exit code 4: no right"):
        service(tmp_path, stop=("sh", "-c", "echo no right >&2; exit 4")).stop()


def test_a_start_command_that_fails_says_so_at_once(tmp_path: Path) -> None:
    with pytest.raises(NodeTrouble, match=r"was not started: 'sh' failed with exit code 4: no right"):
        service(tmp_path, start=("sh", "-c", "echo no right >&2; exit 4")).start()


def test_one_that_does_not_come_up_is_told_with_what_ails_it(tmp_path: Path) -> None:
    with pytest.raises(NodeTrouble, match=r"not up in time: CQL at 127\.0\.0\.1:1 does not answer") as failure:
        service(tmp_path).start("all")
    assert "storage port 127.0.0.1:1 takes no connections" in failure.value.message
    assert "start_timeout" in failure.value.hint


def test_a_command_that_is_not_there_names_its_setting(tmp_path: Path) -> None:
    with pytest.raises(NodeTrouble, match="'nosuch' cannot be run") as failure:
        service(tmp_path, stop=("/usr/bin/nosuch",)).stop()
    assert "stop_cmd" in failure.value.hint
