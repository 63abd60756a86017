"""Nodetool as shell scripts: what it is called with, and what becomes of its failures."""

from __future__ import annotations

from pathlib import Path

import pytest

from backupstore.errors import Denied, NodeTrouble
from shipper.cassandra.nodetool import Nodetool, NodetoolAccess, Seen

STATUS = """\
Datacenter: dc1
===============
Status=Up/Down
|/ State=Normal/Leaving/Joining/Moving
--  Address    Load        Tokens  Owns (effective)  Host ID                               Rack
UN  10.0.0.2   130.45 KiB  16      100.0%            2716a108-c579-4e4c-8cd3-37fb14c4e66c  rack 1
DN  10.0.0.10  ?           16      ?                 fd873a11-0778-4fb7-ab85-472870bb2624  rack1
UJ  fe80::1    1.5 GiB     1       ?                 00000000-0778-4fb7-ab85-472870bb2624  rack1

Note: Non-system keyspaces don't have the same replication settings, effective ownership information is meaningless
"""
REFUSED = """\
error: Snapshot medusa-x already exists.
-- StackTrace --
java.io.IOException: Snapshot medusa-x already exists.
\tat org.apache.cassandra.service.StorageService.takeSnapshot(StorageService.java:4451)
"""


def tool(folder: Path, text: str, *, timeout: float = 20, password: str = "") -> Nodetool:
    program = folder / "nodetool"
    program.write_text(f"#!/bin/sh\n{text}\n")
    program.chmod(0o755)
    return Nodetool(NodetoolAccess(executable=str(program), password=password), timeout=timeout)


def says(text: str, code: int = 1) -> str:
    return f"cat >&2 <<'END'\n{text}\nEND\nexit {code}"


def test_it_is_called_as_stock_calls_it(tmp_path: Path) -> None:
    log = tmp_path / "log"
    nodetool = tool(tmp_path, f'echo "$*" >>{log}')
    nodetool.snapshot("t1")
    nodetool.snapshot("t2", keyspaces=["shop", "MixedCase"])
    nodetool.snapshot("t3", tables=["shop.orders", "MixedCase.Tab"])
    nodetool.snapshot("t4", keyspaces=["shop"], tables=["MixedCase.Tab"])
    nodetool.clear_snapshot("t1")
    nodetool.flush()
    nodetool.drain()
    nodetool.at("10.0.0.2").disable_handoff()
    nodetool.at("10.0.0.2").enable_handoff()
    flag = "-Dcom.sun.jndi.rmiURLParsing=legacy"
    assert log.read_text().splitlines() == [
        f"{flag} snapshot -t t1",
        f"{flag} snapshot -t t2 shop MixedCase",
        f"{flag} snapshot -t t3 -kt shop.orders,MixedCase.Tab",
        f"{flag} snapshot -t t4 shop",
        f"{flag} snapshot -t t4 -kt MixedCase.Tab",
        f"{flag} clearsnapshot -t t1",
        f"{flag} flush",
        f"{flag} drain",
        f"{flag} -h 10.0.0.2 disablehandoff",
        f"{flag} -h 10.0.0.2 enablehandoff",
    ]


def test_flags_come_first_then_how_to_log_in() -> None:
    access = NodetoolAccess("nodetool", ("-Da=b",), "h", 7199, "u", "p", "/file", ssl=True)
    assert access.command() == (
        "nodetool",
        "-Da=b",
        *["-h", "h", "-p", "7199", "-u", "u", "-pw", "p", "-pwf", "/file", "--ssl"],
    )
    assert "p'" not in repr(access).replace("/file'", "")


def test_the_ring_is_read_from_status(tmp_path: Path) -> None:
    assert tool(tmp_path, f"cat <<'END'\n{STATUS}\nEND").status() == (
        Seen("10.0.0.10", "fd873a11-0778-4fb7-ab85-472870bb2624", is_up=False, is_normal=True),
        Seen("10.0.0.2", "2716a108-c579-4e4c-8cd3-37fb14c4e66c", is_up=True, is_normal=True),
        Seen("fe80::1", "00000000-0778-4fb7-ab85-472870bb2624", is_up=True, is_normal=False),
    )


def test_facts_are_read_from_info(tmp_path: Path) -> None:
    info = tool(tmp_path, "echo 'ID                     : ee0c'; echo 'Load                   : 1 KiB: a'").info()
    assert info == {"ID": "ee0c", "Load": "1 KiB: a"}


@pytest.mark.parametrize("command", ["status", "info"])
@pytest.mark.parametrize("text", ["echo garbage", "true", "head -c 100000 /dev/urandom"])
def test_an_answer_that_is_not_understood_is_an_error(tmp_path: Path, command: str, text: str) -> None:
    with pytest.raises(NodeTrouble, match="not understood") as failure:
        getattr(tool(tmp_path, text), command)()
    assert "nodetool_executable" in failure.value.hint


def test_a_failure_says_why_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(NodeTrouble) as failure:
        tool(tmp_path, says(REFUSED, 2)).snapshot("medusa-x")
    assert str(failure.value) == "'nodetool snapshot' failed with exit code 2: Snapshot medusa-x already exists."


def test_a_failure_without_reason_says_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(NodeTrouble, match="exit code 1: Exception in thread / Caused by this"):
        tool(tmp_path, says("Exception in thread\n Caused by this")).drain()
    with pytest.raises(NodeTrouble, match="exit code 7: it said nothing"):
        tool(tmp_path, "exit 7").drain()


def test_a_closed_jmx_port_names_the_settings(tmp_path: Path) -> None:
    text = (
        "nodetool: Failed to connect to '127.0.0.1:7199' - ConnectException: 'Connection refused (Connection refused)'."
    )
    with pytest.raises(NodeTrouble, match="Failed to connect") as failure:
        tool(tmp_path, says(text)).status()
    assert "nodetool_port" in failure.value.hint


def test_a_refused_login_is_denied_and_hides_the_password(tmp_path: Path) -> None:
    text = "nodetool: Failed to connect to 'x:7199' - SecurityException: 'Invalid username or password: hunter2'."
    with pytest.raises(Denied) as failure:
        tool(tmp_path, says(text), password="hunter2").status()
    assert "hunter2" not in failure.value.explained
    assert "nodetool_password" in failure.value.hint


def test_one_that_hangs_is_killed_and_reported(tmp_path: Path) -> None:
    with pytest.raises(NodeTrouble, match=r"'nodetool drain' did not end within 0\.3 seconds and was killed"):
        tool(tmp_path, "sleep 60", timeout=0.3, password="hunter2").drain()
