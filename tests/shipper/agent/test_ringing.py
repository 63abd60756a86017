"""Being told that there is a command: the agent looks at once; and without being told, as often as it is set to."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from backupstore.errors import BackupError, Denied, Misconfigured, Retryable
from backupstore.ports import Bell
from backupstore.wiring import open_bell
from shipper.agent.ringing import Ringing
from tests.harness.s3_servers import REGION
from tests.harness.scripted_server import scripted_server
from tests.settings.shown import settings
from tests.shipper.agent.world import AgentWorld
from tests.shipper.cli.program import until

QUEUE = f"https://sqs.{REGION}.amazonaws.com/1/q"


@dataclass
class PlayedBell:
    """``ports.Bell``: what a test puts into ``comes`` is what the next waits find."""

    comes: queue.SimpleQueue[Sequence[str] | Exception] = field(default_factory=queue.SimpleQueue)
    acknowledged: list[str] = field(default_factory=list)
    waits: int = 0
    stubborn: BackupError | None = None
    closed: int = 0

    def wait(self) -> Sequence[str]:
        self.waits += 1
        found = self.comes.get()
        if isinstance(found, Exception):
            raise found
        return found

    def acknowledge(self, receipts: Sequence[str]) -> None:
        if self.stubborn:
            raise self.stubborn
        self.acknowledged += receipts

    def close(self) -> None:
        self.closed += 1
        raise RuntimeError("as libraries do")


@contextmanager
def heard(
    bell: PlayedBell, ring: Callable[[], None], *, rest: float = 0.0, opens: Callable[[], Bell] | None = None
) -> Iterator[None]:
    ringing = Ringing(opens or (lambda: bell), ring, rest=rest, after_trouble=0.0)
    thread = threading.Thread(target=ringing.listen, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ringing.stop()
        bell.comes.put(())
        thread.join(30)
        assert not thread.is_alive()


def test_who_is_rung_looks_at_once_and_once(world: AgentWorld) -> None:
    agent = world.open()
    agent.interval = lambda: 600.0
    world.turn(agent)
    world.coordinator.command("stop", 1)
    world.turn(agent, 3)
    assert world.verbs.obeyed == [], "its time has not come"
    agent.ring()
    world.turn(agent)
    assert world.verbs.obeyed == [("stop", 1, 1)]
    world.coordinator.command("place", 2)
    world.turn(agent, 3)
    assert world.verbs.obeyed == [("stop", 1, 1)], "one ring is one look"
    world.clock.advance(600)
    world.turn(agent)
    assert world.verbs.obeyed[-1] == ("place", 1, 2), "a message that is lost costs no more than the time until then"


def test_an_agent_that_waits_is_woken(world: AgentWorld) -> None:
    agent, turns = world.open(), threading.Event()
    agent.interval = lambda: 600.0
    world.turn(agent)
    world.coordinator.command("stop", 1)
    rung = threading.Event()

    def keep_on() -> None:
        if not rung.is_set():
            rung.set()
            agent.ring()
        elif world.verbs.obeyed:
            turns.set()
            raise SystemExit

    agent.keep_on = keep_on
    with pytest.raises(SystemExit):
        agent.run()
    assert turns.is_set()
    assert agent.worker.wait(30)


def test_each_message_rings_and_is_acknowledged_after_that() -> None:
    bell, order = PlayedBell(), list[object]()
    with heard(bell, lambda: order.append(list(bell.acknowledged))):
        bell.comes.put(("a", "b"))
        bell.comes.put(())
        bell.comes.put(("c",))
        until(lambda: bell.acknowledged == ["a", "b", "c"])
    assert order == [[], ["a", "b"]]


def test_trouble_is_told_once_and_so_is_its_end(caplog: pytest.LogCaptureFixture) -> None:
    bell, rung = PlayedBell(), list[int]()
    caplog.set_level("INFO")
    away = Retryable("the queue is away", hint="Wait.")
    with heard(bell, lambda: rung.append(1)):
        for came in (away, away, away, ("a",), (), away):
            bell.comes.put(came)
        until(lambda: bell.waits == 7)
    said = [record.message for record in caplog.records]
    trouble = "nobody tells of commands, so they are looked for every command_interval only: the queue is away"
    assert said == [trouble, "command_queue answers again", trouble, "command_queue answers again"][: len(said)]
    assert len(said) >= 3
    assert rung == [1]


def test_who_may_not_acknowledge_is_woken_all_the_same(caplog: pytest.LogCaptureFixture) -> None:
    bell, rung = PlayedBell(stubborn=Denied("no right to delete", hint="Allow it.")), list[int]()
    with heard(bell, lambda: rung.append(1)):
        bell.comes.put(("a",))
        bell.comes.put(("a",))
        until(lambda: bell.waits == 3)
    assert rung == [1, 1]
    assert caplog.text.count("no right to delete") == 1


def test_between_two_messages_there_is_a_rest() -> None:
    """Whoever floods the queue has the node look once a second, and no more."""
    bell = PlayedBell()
    with heard(bell, lambda: None, rest=3600.0):
        bell.comes.put(("a",))
        bell.comes.put(("b",))
        until(lambda: bell.acknowledged == ["a"])
        assert bell.waits == 1


def test_nothing_rings_after_the_end() -> None:
    bell, rung = PlayedBell(), list[int]()
    ringing = Ringing(lambda: bell, lambda: rung.append(1))
    thread = threading.Thread(target=ringing.listen, daemon=True)
    thread.start()
    until(lambda: bell.waits == 1)
    ringing.stop()
    bell.comes.put(("a",))
    thread.join(30)
    assert (thread.is_alive(), rung, bell.acknowledged, bell.closed) == (False, [], [], 1)


def test_a_bell_that_cannot_be_opened_is_tried_again_and_nothing_ends(caplog: pytest.LogCaptureFixture) -> None:
    bell, rung, tries = PlayedBell(), list[int](), list[int]()

    def opens() -> Bell:
        tries.append(1)
        if len(tries) < 4:
            raise Misconfigured(("boto3 is not installed",), hint="Install it.")
        return bell

    with heard(bell, lambda: rung.append(1), opens=opens):
        bell.comes.put(("a",))
        bell.comes.put(())
        until(lambda: bell.waits == 3)
    assert (len(tries), rung) == (4, [1]), "what went well is not opened anew"
    assert caplog.text.count("boto3 is not installed") == 1


def test_after_trouble_everything_is_asked_for_anew(caplog: pytest.LogCaptureFixture) -> None:
    """A client that found no credentials when it was made never finds any; and what a library raises ends no thread."""
    troubles = (Denied("no right", hint="Allow it."), RuntimeError("no event loop"), RuntimeError("no event loop"))
    bell, rung, opened = PlayedBell(), list[int](), list[int]()

    def opens() -> Bell:
        opened.append(bell.closed)
        return bell

    with heard(bell, lambda: rung.append(1), opens=opens):
        for came in (*troubles, ("a",)):
            bell.comes.put(came)
        until(lambda: bell.acknowledged == ["a"])
    assert opened == [0, 1, 2, 3], "each one is closed before the next"
    assert rung == [1]
    assert (caplog.text.count("no right"), caplog.text.count(": RuntimeError: no event loop")) == (1, 1)


def test_credentials_that_come_later_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the real client: the role of a machine may be there only after the agent."""
    found = tmp_path / "credentials"
    for name, value in {"SHARED_CREDENTIALS_FILE": str(found), "EC2_METADATA_DISABLED": "true"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "PROFILE"):
        monkeypatch.delenv(f"AWS_{name}", raising=False)
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/x-amz-json-1.0\r\ncontent-length: "
    answers = [head + b'36\r\n\r\n{"Messages":[{"ReceiptHandle":"r"}]}', head + b"2\r\n\r\n{}"]
    rung, tries = list[int](), list[int]()

    def opens() -> Bell:
        tries.append(1)
        if len(tries) == 3:
            found.write_text("[default]\naws_access_key_id = a\naws_secret_access_key = b\n")
        return open_bell(settings(tmp_path), QUEUE)

    with scripted_server(answers) as script:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", f"http://127.0.0.1:{script.port}")
        ringing = Ringing(opens, lambda: rung.append(1), rest=3600.0, after_trouble=0.0)
        thread = threading.Thread(target=ringing.listen, daemon=True)
        thread.start()
        until(lambda: len(script.heads) == 2)
        ringing.stop()
        thread.join(60)
    assert (rung, len(tries), thread.is_alive()) == ([1], 3, False)
