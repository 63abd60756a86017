"""Commands that are not obeyed: forged, for somebody else, too late, too early, replayed; and how that is told.

Signed with real keys, on a bucket that is a directory.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from backupstore.core.commands import Command
from backupstore.core.documents import encode
from backupstore.errors import Retryable
from backupstore.ports import StoredObject
from backupstore.signing import read_signer, write_pair
from shipper.restore import journal as journals
from shipper.restore.journal import Journal
from tests.recorded import NAME
from tests.shipper.agent.world import OTHER_JOB, AgentWorld


def tampered(document: Command, **changed: object) -> Command:
    payload = {**json.loads(document.payload), **changed}
    text = json.dumps(payload, sort_keys=True, separators=(",", ":"))
    return document.model_copy(update={"payload": text})


def test_what_nobody_known_has_signed_is_refused_and_told_once(
    world: AgentWorld, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    agent = world.open()
    (tmp_path / "stranger").mkdir()
    write_pair(tmp_path / "stranger")
    stranger = read_signer(tmp_path / "stranger" / "signing.key")
    good = world.coordinator.command("stop", 1)
    forged = Command(
        payload=good.payload,
        key=good.key,
        signature=base64.b64encode(stranger.sign(good.payload.encode())).decode(),
    )
    for number, document in enumerate(
        (
            forged,
            forged.model_copy(update={"key": stranger.key_id}),
            tampered(good, verb="commit"),
            tampered(good, number=2),
            good.model_copy(update={"signature": "no base64!"}),
            good.model_copy(update={"payload": good.payload + " "}),
        ),
        1,
    ):
        world.coordinator.write(encode(document))
        world.turn(agent, 2)
        assert caplog.text.count("a command was refused (signature)") == number
    world.coordinator.write(b"{")
    world.turn(agent, 2)
    assert world.verbs.obeyed == []
    assert {(state.outcome, state.code) for state in world.coordinator.states()} == {("refused", "signature")}
    assert "which this node does not know" in caplog.text
    assert "is not that of the key" in caplog.text
    assert agent.orders is not None
    assert agent.orders.refused == 7
    world.turn(world.open(), 2)
    assert caplog.text.count("a command was refused") == 7


def test_what_was_obeyed_cannot_be_made_to_look_refused_by_a_forgery(
    world: AgentWorld, caplog: pytest.LogCaptureFixture
) -> None:
    agent = world.open()
    good = world.coordinator.command("stop", 5)
    world.turn(agent)
    for number in (4, 5):
        world.coordinator.write(encode(tampered(good, number=number, expires=2.0)))
        world.turn(agent, 2)
    assert caplog.text.count("a command was refused (signature)") == 2
    assert world.coordinator.outcomes() == [(5, "doing"), (5, "done")]
    world.coordinator.write(encode(tampered(good, number=6)))
    world.turn(agent, 2)
    assert world.coordinator.outcomes()[-1] == (6, "refused"), "somebody may wait for that"


@pytest.mark.parametrize(
    ("other", "code"),
    [
        ({"node": "10.0.0.2"}, "elsewhere"),
        ({"prefix": "staging"}, "elsewhere"),
        ({"expires": 1.0}, "expired"),
        ({"epoch": 1}, "old-epoch"),
        ({"number": 5, "epoch": 2}, "old-number"),
        ({"number": 4, "epoch": 2}, "old-number"),
    ],
)
def test_what_may_not_be_obeyed_is_refused_and_told(world: AgentWorld, other: dict[str, object], code: str) -> None:
    agent = world.open()
    world.coordinator.command("stop", 5, epoch=2)
    world.turn(agent)
    world.coordinator.command("place", **{"number": 6, "epoch": 2, **other})  # type: ignore[arg-type]  # fields
    world.turn(agent, 2)
    assert world.verbs.obeyed == [("stop", 2, 5)]
    last = world.coordinator.states()[-1]
    assert (last.outcome, last.code) == ("refused", code)
    assert last.why
    assert last.hint


def test_a_verb_that_nobody_knows_is_refused(world: AgentWorld) -> None:
    agent = world.open()
    text = tampered(world.coordinator.command("stop", 1), verb="format-the-disk").payload
    signature = base64.b64encode(world.coordinator.signer.sign(text.encode())).decode()
    world.coordinator.write(encode(Command(payload=text, key=world.coordinator.signer.key_id, signature=signature)))
    world.turn(agent, 2)
    assert world.verbs.obeyed == []
    assert agent.orders is not None
    assert agent.orders.refused == 1


def test_a_command_of_an_earlier_job_is_not_obeyed_again(world: AgentWorld) -> None:
    agent = world.open()
    early = world.coordinator.command("stop", 1)
    world.turn(agent)
    world.clock.advance(60)
    world.coordinator.command("backup", 1, job=OTHER_JOB, arguments={"backup": "b9"})
    world.turn(agent)
    for document in (early, world.coordinator.command("place", 2, issued=world.clock.now() - 61)):
        world.coordinator.write(encode(document))
        world.turn(agent, 2)
    assert [verb for verb, _, _ in world.verbs.obeyed] == ["stop", "backup"]
    assert world.coordinator.states()[-1].code == "replayed"


def test_a_restore_by_hand_is_not_interfered_with(world: AgentWorld) -> None:
    agent = world.open()
    journal = Journal(
        phase="placing", backup="b1", node=NAME, bucket="b", host_id=None, places=(), was_up=True, boot_id="b"
    )
    journals.save(world.state, journal)
    world.coordinator.command("stop", 1)
    world.turn(agent)
    assert world.verbs.obeyed == []
    assert world.coordinator.states()[-1].code == "other-restore"


def test_after_a_memory_that_makes_no_sense_nothing_old_is_obeyed(world: AgentWorld) -> None:
    agent = world.open()
    world.coordinator.command("stop", 1)
    world.turn(agent)
    (world.state.path / "agent.json").write_text("{")
    world.clock.advance(1)
    again = world.open()
    world.turn(again)
    assert len(world.verbs.obeyed) == 1
    assert world.coordinator.states()[-1].code == "replayed"
    world.coordinator.command("place", 2)
    world.turn(again)
    assert world.verbs.obeyed[-1] == ("place", 1, 2)


def test_a_refusal_that_cannot_be_written_is_written_later(
    world: AgentWorld, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    agent, create, turned_away = world.open(), world.store.create, list[str]()

    def unwilling(key: str, body: bytes) -> StoredObject:
        if len(turned_away) < 3:
            turned_away.append(key)
            raise Retryable("the bucket is away")
        return create(key, body)

    monkeypatch.setattr(world.store, "create", unwilling)
    world.coordinator.command("stop", 1, expires=1.0)
    world.turn(agent, 5)
    assert [state.code for state in world.coordinator.states()] == ["expired"]
    assert caplog.text.count("a command was refused") == 1
