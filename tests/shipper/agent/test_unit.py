"""The systemd unit fits the program that it starts: what it calls, how long it waits, what it allows."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from backupstore.errors import Misconfigured
from backupstore.settings.sections import ShipperSettings
from shipper.agent import loop
from shipper.cli import agent_running
from shipper.restore.stays_down import mark_of
from shipper.state import StateDirectory
from tests.shipper.cli.program import Program

SYSTEMD = Path(__file__).resolve().parents[3] / "infra/systemd"
UNIT = SYSTEMD / "medusa-shipper-agent.service"
LINE = re.compile(r"([A-Z][A-Za-z]+)=(.*)")


@pytest.fixture(scope="module")
def unit() -> dict[str, dict[str, str]]:
    """Sections with their directives, as systemd reads them; each directive stands once."""
    sections: dict[str, dict[str, str]] = {}
    name = ""
    for line in UNIT.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            name = line.strip("[]")
            assert name not in sections
            sections[name] = {}
        elif line and not line.startswith(("#", ";")):
            match = LINE.fullmatch(line)
            assert match, line
            assert match[1] not in sections[name], line
            sections[name][match[1]] = match[2]
    return sections


def test_it_has_the_sections_of_a_service(unit: dict[str, dict[str, str]]) -> None:
    assert set(unit) == {"Unit", "Service", "Install"}
    assert unit["Install"] == {"WantedBy": "multi-user.target"}


def test_what_it_starts_is_a_command_of_ours(unit: dict[str, dict[str, str]], tmp_path: Path) -> None:
    program, *arguments = shlex.split(unit["Service"]["ExecStart"])
    assert Path(program).name == "medusa-shipper"
    done = Program(tmp_path).run(*arguments, "--help")
    assert done.code == 0, done.err
    assert "obey commands" in done.out


def test_systemd_waits_longer_than_the_agent_does(unit: dict[str, dict[str, str]]) -> None:
    service = unit["Service"]
    assert (service["Type"], service["NotifyAccess"]) == ("notify", "main")
    assert int(service["TimeoutStopSec"]) > agent_running._AT_THE_END
    assert int(service["WatchdogSec"]) >= 100 * loop._TICK


def test_it_is_always_started_again_but_not_with_wrong_settings(unit: dict[str, dict[str, str]]) -> None:
    assert unit["Service"]["Restart"] == "always"
    assert int(unit["Service"]["RestartPreventExitStatus"]) == Misconfigured.exit_code
    assert unit["Unit"]["StartLimitIntervalSec"] == "0"


def test_it_never_ends_or_starts_cassandra_by_being_started_or_stopped(unit: dict[str, dict[str, str]]) -> None:
    assert unit["Service"]["KillMode"] == "process"
    assert not {"Requires", "BindsTo", "PartOf", "Requisite"} & set(unit["Unit"])


def test_cassandra_goes_first(unit: dict[str, dict[str, str]]) -> None:
    service = unit["Service"]
    default = 100
    assert int(service["CPUWeight"]) < default
    assert int(service["IOWeight"]) < default
    assert int(service["Nice"]) > 0
    assert int(service["OOMScoreAdjust"]) > 0


def test_what_a_restore_needs_is_not_forbidden(unit: dict[str, dict[str, str]]) -> None:
    service = unit["Service"]
    needed = {"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_SYS_PTRACE"}
    assert needed <= set(service["CapabilityBoundingSet"].split())
    assert service["ProtectSystem"] == "full", "'strict' makes mounts, across which nothing can be renamed"
    assert not {"MemoryDenyWriteExecute", "StateDirectory", "DynamicUser", "PrivateNetwork"} & set(service)
    assert service["ProtectHome"] != "yes", "credentials may lie there"
    assert {"AF_UNIX", "AF_INET", "AF_INET6"} <= set(service["RestrictAddressFamilies"].split())
    assert service["NoNewPrivileges"] == "yes"
    assert service["SystemCallErrorNumber"] == "EPERM", "a tool that tries more must be able to say so"


def test_what_keeps_cassandra_down_is_looked_for_where_it_is_by_default() -> None:
    drop_in = (SYSTEMD / "cassandra-waits.conf").read_text(encoding="utf-8")
    mark = mark_of(StateDirectory(ShipperSettings().state_dir))
    assert "\n[Unit]\n" in drop_in
    assert f"\nAssertPathExists=!{mark}\n" in drop_in
