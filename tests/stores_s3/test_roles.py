"""Roles: keys that a service hands out for some minutes, exchanged while a long upload is on its way."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from backupstore.errors import Misconfigured
from backupstore.stores.s3.credentials import BotocoreKeys
from backupstore.stores.s3.signing import Keys
from tests.clocks import SettableClock
from tests.conformance.samples import MIB, Pattern, fetched_sha256, whole
from tests.harness import s3_servers
from tests.harness.role_keys import RoleKeys, role_keys
from tests.harness.s3_servers import S3Server
from tests.harness.s3_stores import How, opened

BUCKET = "roles"
WAYS = ["on_an_instance", "in_a_container"]


@pytest.fixture
def users(server: S3Server) -> list[Keys]:
    """Two users of the server that may do everything in the bucket: the role before and after."""
    made = [Keys(f"role-{uuid.uuid4().hex[:8]}", uuid.uuid4().hex) for _ in range(2)]
    for keys in made:
        s3_servers.add_user(server, keys.access, keys.secret)
    s3_servers.grant(server, BUCKET, [keys.access for keys in made])
    return made


@pytest.fixture
def role(users: list[Keys]) -> Iterator[RoleKeys]:
    with role_keys(users[0]) as running:
        yield running


@pytest.fixture(params=WAYS)
def environment(request: pytest.FixtureRequest, role: RoleKeys, without_keys: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A machine that has a role and nothing else."""
    for name, value in getattr(role, request.param).items():
        without_keys.setenv(name, value)
    return without_keys


@dataclass
class Exchanging:
    """A source in whose middle the role gets its next keys, and the server forgets the old ones."""

    source: Pattern
    server: S3Server
    role: RoleKeys
    users: list[Keys]
    clock: SettableClock
    pause: float

    @property
    def size(self) -> int:
        return self.source.size

    def chunks(self) -> Iterator[bytes]:
        for number, chunk in enumerate(self.source.chunks()):
            if number == 13:
                self.role.keys = self.users[1]
                s3_servers.remove_user(self.server, self.users[0].access)
                self.clock.advance(self.pause)
            yield chunk


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize("pause", [0.0, 10.0], ids=["taken away early", "run out"])
def test_a_long_upload_goes_on_with_the_next_keys(
    server: S3Server, role: RoleKeys, users: list[Keys], pause: float
) -> None:
    clock = SettableClock()
    store = opened(server, BUCKET, How(keys=BotocoreKeys(clock)))
    source, key = whole(30 * MIB), uuid.uuid4().hex
    store.upload(key, Exchanging(source, server, role, users, clock, pause))
    assert len(role.asked) >= 2
    assert fetched_sha256(store, key) == source.sha256


@pytest.mark.usefixtures("environment")
def test_keys_are_asked_for_once_and_not_for_each_request(server: S3Server, role: RoleKeys) -> None:
    role.lives = 6 * 3600
    store = opened(server, BUCKET, How(keys=BotocoreKeys(SettableClock())))
    for number in range(20):
        store.create(f"{uuid.uuid4().hex}/{number}", b"")
    assert len(role.asked) == 1


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize("environment", ["in_a_container"], indirect=True)  # botocore lets those of instances live on
@pytest.mark.parametrize("broken", ["", "no json", "{}", '{"Code": "AssumeRoleUnauthorizedAccess"}'])
def test_a_service_that_is_out_of_order_for_a_while_stops_nothing(
    server: S3Server, role: RoleKeys, broken: str
) -> None:
    clock = SettableClock()
    store = opened(server, BUCKET, How(keys=BotocoreKeys(clock)))
    store.create(uuid.uuid4().hex, b"")
    role.broken = broken
    clock.advance(10)
    store.create(uuid.uuid4().hex, b"")
    assert len(role.asked) >= 2


@pytest.mark.usefixtures("environment")
def test_without_a_service_the_end_of_the_keys_is_the_end(server: S3Server, role: RoleKeys, users: list[Keys]) -> None:
    store = opened(server, BUCKET, How(keys=BotocoreKeys(SettableClock())))
    store.create(uuid.uuid4().hex, b"")
    role.broken = "{}"
    s3_servers.remove_user(server, users[0].access)
    with pytest.raises(Misconfigured, match="credentials") as caught:
        store.create(uuid.uuid4().hex, b"")
    assert "role" in caught.value.hint


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize("broken", ["", "no json", "{}", '{"Code": "AssumeRoleUnauthorizedAccess"}'])
def test_a_role_that_cannot_be_had_is_said(server: S3Server, role: RoleKeys, broken: str) -> None:
    role.broken = broken
    with pytest.raises(Misconfigured, match="credentials") as caught:
        opened(server, BUCKET, How(keys=BotocoreKeys(SettableClock()))).create("a", b"")
    assert caught.value.hint


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize("command", ["/no/such/program", "false", "echo no json", "echo {}"])
def test_a_program_that_gives_no_keys_is_said(environment: pytest.MonkeyPatch, tmp_path: Path, command: str) -> None:
    (tmp_path / "config").write_text(f"[profile outside]\ncredential_process = {command}\n")
    environment.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    environment.delenv("AWS_SHARED_CREDENTIALS_FILE")
    with pytest.raises(Misconfigured, match="credentials") as caught:
        BotocoreKeys(SettableClock(), profile="outside").current()
    assert caught.value.hint
