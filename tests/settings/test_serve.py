"""Options of ``[shipper]`` about webhooks: where they are taken, and what they have to bring."""

from __future__ import annotations

from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.harness.s3_servers import free_port
from tests.settings.shown import shows
from tests.shipper.cli.program import Program


def posted(port: int, path: str) -> int:
    """The status of the answer to a webhook that tells of nothing."""
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("POST", path, b'{"Records": []}')
        return connection.getresponse().status
    finally:
        connection.close()


@shows("shipper.listen", "shipper.webhook_secret", "shipper.webhook_secret_file")
@pytest.mark.parametrize("by", ["file", "option"])
def test_webhooks_are_taken_there_from_those_who_know_the_secret(tmp_path: Path, by: str) -> None:
    port = free_port()
    (tmp_path / "secret").write_text("password1\n")
    given = f"webhook_secret_file = {tmp_path / 'secret'}" if by == "file" else "webhook_secret = password1"
    program = Program(tmp_path, shipper=(f"listen = 127.0.0.1:{port}", given))
    program.bucket.mkdir()
    with program.running("serve") as server:
        server.until_said(f"taking webhooks at 127.0.0.1 port {port}")
        assert posted(port, "/?secret=password1") < 300
        assert posted(port, "/?secret=password2") in {401, 403}
