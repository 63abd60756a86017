"""Whose tokens go with the requests: of a service account's key, of the environment, of the machine; and when none do."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from backupstore.errors import BackupError, Denied, Misconfigured, Retryable
from backupstore.stores.gcs.tokens import GoogleTokens
from tests.harness.faulty_proxy import Fault, FaultyProxy
from tests.harness.gcs_server import GcsServer, How, opened, refusal
from tests.harness.s3_servers import free_port

BUCKET = "tokens"


@dataclass
class TokenService:
    """Stands where Google's token service does: a new token for each question, or ``refusals`` first."""

    port: int = 0
    given: int = 0
    refusals: list[int] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/token"


@pytest.fixture
def service() -> Iterator[TokenService]:
    known = TokenService()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            if known.refusals:
                self._answer(known.refusals.pop(0), {"error": "invalid_grant", "error_description": "no such account"})
                return
            known.given += 1
            self._answer(200, {"access_token": f"token{known.given}", "expires_in": 3600, "token_type": "Bearer"})

        def _answer(self, status: int, document: object) -> None:
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- http.server's name
            """Nobody reads it."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        known.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield known
        server.shutdown()


@pytest.fixture
def key_file(service: TokenService, tmp_path: Path) -> Path:
    return write_key(tmp_path / "key.json", service.url)


def write_key(file: Path, token_uri: str) -> Path:
    made = subprocess.run(["openssl", "genrsa", "2048"], capture_output=True, text=True, check=True)
    account = {
        "type": "service_account",
        "project_id": "lab",
        "private_key_id": "1",
        "private_key": made.stdout,
        "client_email": "node1@lab.iam.gserviceaccount.com",
        "client_id": "1",
        "token_uri": token_uri,
    }
    file.write_text(json.dumps(account))
    return file


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """An environment without credentials of Google's, and a machine without a metadata service."""
    for name in ("GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CLOUD_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path / "no-gcloud"))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    return monkeypatch


def sent(proxy: FaultyProxy) -> list[str]:
    return [headers.get("authorization", "") for _, _, headers in proxy.requests]


def test_one_token_goes_with_many_requests(server: GcsServer, proxy: FaultyProxy, key_file: Path) -> None:
    store = opened(server, BUCKET, How(port=proxy.port, tokens=GoogleTokens(key_file)))
    store.create("many/a", b"")
    store.create("many/b", b"")
    assert sent(proxy) == ["Bearer token1"] * 2


def test_a_token_that_is_refused_is_exchanged_once(server: GcsServer, proxy: FaultyProxy, key_file: Path) -> None:
    store = opened(server, BUCKET, How(port=proxy.port, tokens=GoogleTokens(key_file)))
    proxy.faults.append(Fault("POST", answer=refusal(401, "authError")))
    store.create("exchanged/a", b"")
    assert sent(proxy) == ["Bearer token1", "Bearer token2"]


def test_the_environment_names_a_key(
    server: GcsServer, proxy: FaultyProxy, key_file: Path, nowhere: pytest.MonkeyPatch
) -> None:
    nowhere.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(key_file))
    opened(server, BUCKET, How(port=proxy.port, tokens=GoogleTokens())).create("environment/a", b"")
    assert sent(proxy) == ["Bearer token1"]


def test_a_key_that_google_does_not_know_is_told(service: TokenService, server: GcsServer, key_file: Path) -> None:
    service.refusals += [400] * 9
    with pytest.raises(Misconfigured, match="invalid_grant") as caught:
        opened(server, BUCKET, How(tokens=GoogleTokens(key_file))).create("a", b"")
    assert str(key_file) in str(caught.value)
    assert "service account" in caught.value.hint


def test_a_token_service_that_is_down_is_asked_again_later(server: GcsServer, tmp_path: Path) -> None:
    tokens = GoogleTokens(write_key(tmp_path / "key.json", f"http://127.0.0.1:{free_port()}/token"))
    with pytest.raises(Retryable, match="token service"):
        opened(server, BUCKET, How(tokens=tokens)).create("a", b"")


def test_without_any_credentials_it_says_what_to_do(server: GcsServer) -> None:
    with pytest.raises(Misconfigured, match="key_file is not set") as caught:
        opened(server, BUCKET, How(tokens=GoogleTokens())).look()
    assert "GOOGLE_APPLICATION_CREDENTIALS" in caught.value.hint


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"type": "service_account"}', '{"type": "authorized_user"}'])
def test_a_file_that_is_no_key_is_named(server: GcsServer, tmp_path: Path, text: str) -> None:
    file = tmp_path / "key.json"
    file.write_text(text)
    with pytest.raises(Misconfigured, match="no JSON key of a service account"):
        opened(server, BUCKET, How(tokens=GoogleTokens(file))).look()


@pytest.mark.parametrize(("name", "error"), [("absent.json", Misconfigured), ("", BackupError)])
def test_a_key_that_cannot_be_read_is_named(
    server: GcsServer, tmp_path: Path, name: str, error: type[BackupError]
) -> None:
    file = tmp_path / name
    with pytest.raises(error, match=str(file)) as caught:
        opened(server, BUCKET, How(tokens=GoogleTokens(file))).look()
    assert isinstance(caught.value, (Misconfigured, Denied))
