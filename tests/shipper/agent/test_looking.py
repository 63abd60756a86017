"""Looking for a command: what that costs where there is none, and what is found. On answers of S3, byte for byte."""

from __future__ import annotations

import re

from backupstore.core.documents import encode
from backupstore.core.obedience import Seen
from backupstore.signing import read_public_keys
from backupstore.stores.http.pool import Wire
from backupstore.stores.http.retry import Patience
from backupstore.stores.s3.endpoint import own
from backupstore.stores.s3.signing import Keys
from backupstore.stores.s3.store import S3Store
from shipper.agent.mailbox import Mailbox
from tests.clocks import SettableClock
from tests.harness.faulty_proxy import refusal
from tests.harness.s3_servers import REGION
from tests.harness.s3_stores import FixedKeys
from tests.harness.scripted_server import Scripted, scripted_server
from tests.recorded import NAME
from tests.shipper.agent.world import AgentWorld

NOTHING_NEW = b'HTTP/1.1 304 Not Modified\r\netag: "e1"\r\n\r\n'
NONE = refusal(404, "NoSuchKey")


def found(body: bytes, etag: str) -> bytes:
    return f'HTTP/1.1 200 OK\r\netag: "{etag}"\r\ncontent-length: {len(body)}\r\n\r\n'.encode() + body


def mailbox(world: AgentWorld, script: Scripted) -> Mailbox:
    endpoint = own("bucket", REGION, (script.host, script.port), secure=False)
    wire = Wire(patience=Patience(seconds=0, least=1))
    store = S3Store(endpoint, FixedKeys(Keys("a", "s")), SettableClock(), wire=wire)
    keys = read_public_keys(world.base / "keys" / "command-keys")
    return Mailbox(store, world.layout, NAME, keys, world.state)


def asked_with(script: Scripted) -> list[str]:
    """The version under which each request asked for anything else; empty where it asked for all there is."""
    conditions = [re.search(rb'\r\nif-none-match: "([^"]*)"', head) for head in script.heads]
    assert all(head.startswith(b"GET ") for head in script.heads)
    return [condition[1].decode() if condition else "" for condition in conditions]


def test_while_nothing_is_new_a_look_is_one_request_and_no_body(world: AgentWorld) -> None:
    command = encode(world.coordinator.command("stop", 1))
    with scripted_server([found(command, "e1"), *[NOTHING_NEW] * 1000]) as script:
        box, now = mailbox(world, script), world.clock.now()
        letter = box.look(Seen(), now)
        assert letter is not None
        assert letter.verdict.kind == "obey"
        assert [box.look(Seen(), now) for _ in range(1000)] == [None] * 1000
    assert asked_with(script) == ["", *["e1"] * 1000]
    assert script.opened == 1


def test_what_is_new_is_found_also_after_there_was_nothing(world: AgentWorld) -> None:
    first, second = (encode(world.coordinator.command("stop", number)) for number in (1, 2))
    answers = [NONE, found(first, "e1"), NOTHING_NEW, found(second, "e2"), NONE, NONE, found(second, "e2")]
    with scripted_server(answers) as script:
        box, now = mailbox(world, script), world.clock.now()
        looks = [box.look(Seen(), now) for _ in answers]
    numbers = [letter.payload.number if letter and letter.payload else None for letter in looks]
    assert numbers == [None, 1, None, 2, None, None, 2]
    assert asked_with(script) == ["", "", "e1", "e1", "e2", "", ""]


def test_what_could_not_be_taken_up_is_asked_for_whole(world: AgentWorld) -> None:
    command = encode(world.coordinator.command("stop", 1))
    with scripted_server([found(command, "e1"), found(command, "e1"), found(command, "e9")]) as script:
        box, now = mailbox(world, script), world.clock.now()
        assert box.look(Seen(), now) is not None
        box.forget()
        assert box.look(Seen(), now) is not None
        assert box.look(Seen(), now) is None, "the same text under another version is no other command"
    assert asked_with(script) == ["", "", "e1"]
