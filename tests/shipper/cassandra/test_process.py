"""Programs that hang, fail, flood, or leave daemons behind."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from backupstore.errors import NodeTrouble
from shipper.cassandra.process import Called, run


def script(folder: Path, text: str) -> str:
    path = folder / "program"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def is_gone(pid: int) -> bool:
    state = Path(f"/proc/{pid}/stat")
    return not state.exists() or state.read_text().rpartition(") ")[2].startswith("Z")


def wait_gone(pid: int) -> bool:
    end = time.monotonic() + 5
    while not is_gone(pid) and time.monotonic() < end:
        time.sleep(0.02)
    return is_gone(pid)


def test_what_it_says_and_how_it_ends_comes_back(tmp_path: Path) -> None:
    completed = run([script(tmp_path, "echo out; echo err >&2; exit 3")], timeout=10)
    assert (completed.returncode, completed.stdout, completed.stderr) == (3, "out\n", "err\n")


def test_arguments_reach_it_as_they_are(tmp_path: Path) -> None:
    completed = run([script(tmp_path, 'printf "%s|" "$@"'), "a b", "$HOME", ";", "*"], timeout=10)
    assert completed.stdout == "a b|$HOME|;|*|"


def test_it_reads_what_it_is_given_and_else_nothing(tmp_path: Path) -> None:
    cat = script(tmp_path, "cat")
    assert run([cat], timeout=10).stdout == ""
    assert run([cat], timeout=10, text="ü" * 100_000).stdout == "ü" * 100_000


def test_one_that_does_not_read_is_no_error(tmp_path: Path) -> None:
    assert run([script(tmp_path, "exit 0")], timeout=10, text="x" * 1_000_000).returncode == 0


def test_a_hanging_one_is_killed_with_all_it_started(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    hanging = script(tmp_path, f"trap '' TERM HUP\n(trap '' TERM; echo $$ >{pids}; sleep 60) &\nwait\nsleep 60")
    with pytest.raises(NodeTrouble) as failure:
        run([hanging, "-pw", "hunter2"], timeout=0.5, called=Called("nodetool snapshot", "nodetool_executable"))
    assert "'nodetool snapshot' did not end within 0.5 seconds and was killed." in failure.value.message
    assert "hunter2" not in failure.value.explained
    assert wait_gone(int(pids.read_text()))
    assert not [each for each in Path("/proc").glob("[0-9]*/cmdline") if str(tmp_path).encode() in read(each)]


def read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Who was started in the background of a script ignores the signal, and so would we."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_it_is_killed_when_we_are_interrupted(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    # Not before it is waited for: what comes while it is being started is Python's to handle.
    hanging = script(tmp_path, f"sleep 1; echo $$ >{pid}; exec sleep 60")

    def interrupt() -> None:
        while not pid.exists() or not pid.read_text().strip():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        run([hanging], timeout=30)
    assert wait_gone(int(pid.read_text()))


def test_of_a_flood_the_end_is_kept(tmp_path: Path) -> None:
    completed = run([script(tmp_path, "head -c 8000000 /dev/zero | tr '\\0' 'x'; echo the end")], timeout=30)
    assert len(completed.stdout) == 1 << 20
    assert completed.stdout.endswith("xthe end\n")


def test_a_daemon_that_keeps_our_pipes_is_neither_waited_for_nor_killed(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    daemon = script(tmp_path, f"echo started; setsid sh -c 'echo $$ >{pid}; exec sleep 600' &\nexit 0")
    # Waiting for the daemon would end in the time limit, and that in an error.
    completed = run([daemon], timeout=60)
    assert (completed.returncode, completed.stdout) == (0, "started\n")
    daemon_pid = int(pid.read_text())
    assert not is_gone(daemon_pid)
    os.kill(daemon_pid, 9)


@pytest.mark.parametrize("argv", [["/nowhere/nodetool", "-pw", "hunter2"], ["/tmp"], [""], [], ["a\0b"]])
def test_what_cannot_be_run_names_the_setting_and_no_secret(argv: list[str]) -> None:
    with pytest.raises(NodeTrouble) as failure:
        run(argv, timeout=5, called=Called("nodetool status", "nodetool_executable in [cassandra]"))
    assert "'nodetool status' cannot be run" in failure.value.message
    assert "nodetool_executable in [cassandra]" in failure.value.hint
    assert "hunter2" not in failure.value.explained


def test_the_tail_is_one_line_of_what_may_say_why(tmp_path: Path) -> None:
    completed = run([script(tmp_path, "echo ignored; seq 1 9 >&2; echo >&2; echo '  why' >&2")], timeout=10)
    assert completed.tail == "7 / 8 / 9 / why"
    assert run([script(tmp_path, "echo only this")], timeout=10).tail == "only this"
