"""What the agent says of itself: to who asks by HTTP, to Prometheus, and to systemd."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from backupstore.clock import SystemClock
from backupstore.core.names import name_of_time
from backupstore.errors import Misconfigured
from backupstore.settings.kinds import ListenAddress
from shipper.agent.door import listening
from shipper.agent.loop import Agent
from shipper.agent.news import News, Now
from shipper.agent.systemd import Pulse
from shipper.agent.view import View
from shipper.restore import journal as journals
from shipper.restore.journal import Journal
from tests.clocks import SettableClock
from tests.harness.s3_servers import free_port
from tests.recorded import NAME
from tests.shipper.agent.world import HOUR, PREFIX, AgentWorld, Gate, prepare


@contextmanager
def asked(agent: Agent) -> Iterator[int]:
    port = free_port()
    with listening(ListenAddress("127.0.0.1", port), View(agent, PREFIX, NAME), SystemClock()):
        yield port


def got(port: int, target: str, method: str = "GET") -> tuple[int, bytes]:
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, target)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def health(port: int) -> tuple[int, dict[str, Any]]:
    status, body = got(port, "/health")
    return status, json.loads(body)


def numbers(port: int) -> dict[str, float]:
    status, body = got(port, "/metrics")
    assert status == 200
    found = {}
    for family in text_string_to_metric_families(body.decode()):
        for sample in family.samples:
            assert sample.labels == {"cluster": PREFIX, "node": NAME}
            found[sample.name] = sample.value
    return found


def test_health_says_what_is_done_and_whether_the_last_slot_was_good(world: AgentWorld) -> None:
    agent = world.open()
    with asked(agent) as port:
        world.turn(agent)
        slot = world.clock.now() + HOUR / 2
        status, said = health(port)
        assert (status, said["good"], said["doing"], said["last_slot"]) == (200, True, None, None)
        assert (said["next_backup"], said["next_begins"]) == (name_of_time(slot), slot)
        world.node.fails = {"snapshot"}
        world.clock.advance(HOUR / 2)
        world.turn(agent)
        status, said = health(port)
        assert (status, said["good"]) == (503, False)
        assert said["problems"] == [f"backup {name_of_time(slot)}: 'snapshot' failed."]
        assert (said["last_slot"]["stand"], said["last_slot"]["hint"]) == ("failed", "This node is only recorded.")
        world.node.fails = set()
        world.clock.advance(60)
        world.turn(agent)
        status, said = health(port)
        assert (status, said["problems"], said["last_backup"]["backup"]) == (200, [], name_of_time(slot))


def test_it_answers_while_a_command_is_carried_out(world: AgentWorld) -> None:
    gate = world.verbs.acts["prepare"] = Gate()
    agent = world.open()
    world.coordinator.command("prepare", 1, arguments=prepare())
    with asked(agent) as port:
        agent.turn()
        assert gate.began.wait(60)
        status, said = health(port)
        assert (status, said["doing"]) == (200, f"prepare of {world.coordinator.job}")
        assert said["progress"]["step"] == "prepare has begun"
        assert numbers(port)["medusa_shipper_agent_busy"] == 1
        gate.goes_on.set()
        assert agent.worker.wait(60)
        _, said = health(port)
        assert said["last_command"]["outcome"] == "done"


def test_numbers_for_prometheus(world: AgentWorld) -> None:
    agent = world.open()
    with asked(agent) as port:
        world.turn(agent)
        first = numbers(port)
        assert "medusa_node_backup_backup_size" not in first
        assert first["medusa_shipper_agent_next_backup_time_seconds"] == world.clock.now() + HOUR / 2
        world.clock.advance(HOUR / 2)
        world.turn(agent)
        world.coordinator.write(b"nonsense")
        world.turn(agent)
        found = numbers(port)
    ended = agent.backups.diary.value.ended
    assert ended is not None
    assert found["medusa_node_backup_backup_size"] == ended.size > 0
    assert found["medusa_shipper_agent_last_backup_time_seconds"] == ended.at
    assert found["medusa_shipper_agent_refused_commands"] == 1
    assert {name: found[f"medusa_shipper_agent_{name}"] for name in ("busy", "backup_failed", "restore_open")} == {
        "busy": 0,
        "backup_failed": 0,
        "restore_open": 0,
    }


def test_a_restore_that_is_open_is_told(world: AgentWorld) -> None:
    journal = Journal(
        phase="placing", backup="b1", node=NAME, bucket="b", host_id=None, places=(), was_up=True, boot_id="b"
    )
    agent = world.open()
    with asked(agent) as port:
        journals.save(world.state, journal)
        assert health(port)[1]["restore_open"] is True
        world.state.journal.write_text("{")
        assert numbers(port)["medusa_shipper_agent_restore_open"] == 1


@pytest.mark.parametrize(
    ("method", "target", "status"), [("GET", "/", 404), ("POST", "/health", 501), ("HEAD", "/health", 200)]
)
def test_nothing_else_is_answered(world: AgentWorld, method: str, target: str, status: int) -> None:
    with asked(world.open()) as port:
        assert got(port, target, method)[0] == status


def test_an_address_that_cannot_be_had_is_a_mistake_in_the_settings(world: AgentWorld) -> None:
    agent = world.open()
    with (
        asked(agent) as port,
        pytest.raises(Misconfigured, match="agent_listen"),
        listening(ListenAddress("127.0.0.1", port), View(agent, PREFIX, NAME), SystemClock()),
    ):
        pass


@pytest.fixture(params=["path", "abstract"])
def systemd(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, socket.socket]]:
    """Where systemd listens, and its socket."""
    address = str(tmp_path / "notify") if request.param == "path" else f"@medusa-{tmp_path.name}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(address.replace("@", "\0", 1))
        listener.settimeout(10)
        yield address, listener


def test_systemd_is_told_when_all_is_set_up_that_it_lives_and_that_it_ends(
    systemd: tuple[str, socket.socket], world: AgentWorld
) -> None:
    address, listener = systemd
    agent = world.open()
    agent.pulse = Pulse(address)
    agent.pulse.ready()
    world.turn(agent)
    gate = world.verbs.acts["stop"] = Gate()
    world.coordinator.command("stop", 1)
    agent.turn()
    assert gate.began.wait(60)
    agent.turn()
    gate.goes_on.set()
    agent.stop(60)
    told = [listener.recv(4096).decode() for _ in range(5)]
    assert told == [
        "READY=1",
        "WATCHDOG=1\nSTATUS=waiting",
        "WATCHDOG=1",
        f"WATCHDOG=1\nSTATUS=stop of {world.coordinator.job}",
        "STOPPING=1",
    ]


def test_without_systemd_and_with_one_that_is_gone_nothing_happens(tmp_path: Path) -> None:
    for address in ("", str(tmp_path / "nobody")):
        pulse = Pulse(address)
        pulse.ready()
        pulse.beat("waiting")
        pulse.stopping()


def test_what_lasts_for_days_is_told_a_bounded_number_of_times() -> None:
    clock, told = SettableClock(), list[Now]()
    news = News(clock, "load", told.append)
    news.begin("fetching", files=1, size=1 << 40)
    for _ in range(4 * 24 * 3600):
        clock.advance(1)
        news.advance(files=0, size=1000)
    assert 1000 < len(told) < 5000
    assert told[-1].done > 0.99 * news.now.done
    for number in range(100):
        news.warn(str(number))
    assert news.warnings == [str(number) for number in range(10)]
