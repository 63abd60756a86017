"""Whose keys sign the requests to S3, and keys that change while the program runs."""

from __future__ import annotations

import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from backupstore.errors import Denied, Misconfigured, NotFound
from backupstore.stores.s3.credentials import BotocoreKeys
from backupstore.stores.s3.signing import Keys
from tests.clocks import SettableClock
from tests.conformance.samples import MIB, fetched_sha256, whole
from tests.harness import s3_servers
from tests.harness.faulty_proxy import Fault, FaultyProxy, refusal
from tests.harness.s3_servers import S3Server
from tests.harness.s3_stores import How, opened

BUCKET = "keys"


class Rotating:
    """Keys that are exchanged: the old ones are refused from some moment on."""

    def __init__(self, old: Keys, new: Keys) -> None:
        self._keys = old
        self._new = new
        self.asked = 0

    def current(self) -> Keys:
        return self._keys

    def renewed(self, refused: Keys) -> Keys:
        assert refused.access
        self.asked += 1
        self._keys = self._new
        return self._keys


class TestKeysThatExpire:
    def test_a_long_upload_goes_on_with_new_ones(self, server: S3Server, folder: str) -> None:
        s3_servers.add_user(server, "brief", "briefsecret")
        s3_servers.grant(server, server.bucket("expiring"), ["brief"])
        keys = Rotating(Keys("brief", "briefsecret"), Keys(server.access, server.secret))
        store = opened(server, "expiring", How(keys=keys))
        source = whole(30 * MIB)

        class Expiring:
            size = source.size

            def chunks(self) -> Iterator[bytes]:
                for number, chunk in enumerate(source.chunks()):
                    if number == 13:
                        s3_servers.remove_user(server, "brief")
                    yield chunk

        store.upload(f"{folder}a", Expiring())
        assert keys.asked
        assert fetched_sha256(store, f"{folder}a") == source.sha256

    @pytest.mark.parametrize("status", [400, 403])
    def test_an_expired_session_is_renewed(
        self, server: S3Server, proxy: FaultyProxy, folder: str, status: int
    ) -> None:
        keys = Rotating(Keys(server.access, server.secret, "old"), Keys(server.access, server.secret))
        store = opened(server, BUCKET, How(port=proxy.port, keys=keys))
        proxy.faults.append(Fault(answer=refusal(status, "ExpiredToken")))
        store.create(f"{folder}a", b"body")
        assert [headers.get("x-amz-security-token") for _, _, headers in proxy.requests] == ["old", None]

    def test_without_newer_ones_it_is_denied(self, server: S3Server, proxy: FaultyProxy) -> None:
        store = opened(server, BUCKET, How(port=proxy.port))
        proxy.faults.append(Fault(times=9, answer=refusal(400, "ExpiredToken")))
        with pytest.raises(Denied) as caught:
            store.read("a/b")
        assert len(proxy.requests) == 1
        assert caught.value.hint

    def test_an_answer_without_a_reason_is_asked_for_it(
        self, server: S3Server, proxy: FaultyProxy, folder: str
    ) -> None:
        keys = Rotating(Keys(server.access, server.secret, "old"), Keys(server.access, server.secret))
        store = opened(server, BUCKET, How(port=proxy.port, keys=keys))
        proxy.faults += [
            Fault("HEAD", answer=b"HTTP/1.1 400 Bad\r\n\r\n"),
            Fault("GET", answer=refusal(400, "ExpiredToken")),
        ]
        with pytest.raises(NotFound):
            store.head(f"{folder}a")
        assert [method for method, _, _ in proxy.requests] == ["HEAD", "GET", "HEAD"]


class TestWhereKeysComeFrom:
    def test_a_file_goes_before_the_environment(self, without_keys: pytest.MonkeyPatch, tmp_path: Path) -> None:
        without_keys.setenv("AWS_ACCESS_KEY_ID", "of-environment")
        without_keys.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        file = tmp_path / "keys"
        file.write_text("[default]\naws_access_key_id = a\naws_secret_access_key = s\n[other]\naws_access_key_id = b\n")
        with file.open("a") as more:
            more.write("aws_secret_access_key = t\naws_session_token = u\n")
        assert BotocoreKeys(SettableClock()).current() == Keys("of-environment", "secret")
        assert BotocoreKeys(SettableClock(), key_file=file).current() == Keys("a", "s")
        assert BotocoreKeys(SettableClock(), key_file=file, profile="other").current() == Keys("b", "t", "u")

    @pytest.mark.usefixtures("without_keys")
    def test_what_is_missing_is_said(self, tmp_path: Path) -> None:
        file = tmp_path / "keys"
        for keys in (
            BotocoreKeys(SettableClock()),
            BotocoreKeys(SettableClock(), profile="absent"),
            BotocoreKeys(SettableClock(), key_file=file),
        ):
            with pytest.raises(Misconfigured) as caught:
                keys.current()
            assert caught.value.hint
        file.write_text("[default]\naws_access_key_id = a\n")
        with pytest.raises(Misconfigured):
            BotocoreKeys(SettableClock(), key_file=file).current()
        file.write_text("no ini at all")
        with pytest.raises(Misconfigured):
            BotocoreKeys(SettableClock(), key_file=file).current()

    @pytest.mark.usefixtures("without_keys")
    def test_a_file_that_is_exchanged_is_read_again(self, tmp_path: Path) -> None:
        file = tmp_path / "keys"
        file.write_text("[default]\naws_access_key_id = a\naws_secret_access_key = s\n")
        keys = BotocoreKeys(SettableClock(), key_file=file)
        old = keys.current()
        assert keys.renewed(old) == old
        file.write_text("[default]\naws_access_key_id = b\naws_secret_access_key = t\n")
        assert keys.current() == old
        assert keys.renewed(old) == Keys("b", "t")
        assert keys.renewed(old) == Keys("b", "t")
        assert keys.current() == Keys("b", "t")

    def test_sessions_are_renewed_before_they_end(self, without_keys: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """Botocore asks the process again when a session has less than ten minutes to live."""
        without_keys.delenv("AWS_SHARED_CREDENTIALS_FILE")
        program, counter = tmp_path / "give-keys", tmp_path / "counter"
        program.write_text(
            f"#!{sys.executable}\nimport json, pathlib, time\ncounter = pathlib.Path({str(counter)!r})\n"
            "turn = len(counter.read_text()) if counter.exists() else 0\ncounter.write_text('x' * (turn + 1))\n"
            "end = time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(time.time() + 300))\n"
            "print(json.dumps({'Version': 1, 'AccessKeyId': f'key{turn}', 'SecretAccessKey': 's', 'SessionToken': 't',"
            " 'Expiration': end}))\n"
        )
        program.chmod(stat.S_IRWXU)
        config = tmp_path / "config"
        config.write_text(f"[profile brief]\ncredential_process = {program}\n")
        without_keys.setenv("AWS_CONFIG_FILE", str(config))
        clock = SettableClock()
        keys = BotocoreKeys(clock, profile="brief")
        first = keys.current()
        assert first.token == "t"
        assert keys.current() == first
        clock.advance(10)
        assert keys.current() != first
