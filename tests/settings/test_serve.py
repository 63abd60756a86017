"""Options of ``[shipper]`` for ``serve``: where webhooks are taken and what they have to bring; what it verifies, and when."""

from __future__ import annotations

import json
from http.client import HTTPConnection
from pathlib import Path

import pytest

from backupstore.core.layout import Layout
from backupstore.operations.findings import LEVELS
from tests.harness.s3_servers import free_port
from tests.operations.ring import LocalRing
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


@shows("shipper.verify_interval", "shipper.verify_data_share")
def test_how_often_and_how_much_is_as_set(tmp_path: Path) -> None:
    levels: dict[str, set[str]] = {}
    for name, lines in {
        "usual": (),
        "never": ("verify_interval = 0",),
        "no data": ("verify_data_share = 0",),
        "all data": ("verify_data_share = 100%", "verify_interval = 60"),
    }.items():
        program = Program(tmp_path / name, shipper=lines)
        program.bucket.mkdir(parents=True)
        LocalRing(program.bucket).back_up("b1")
        assert program.run("serve", "--once").code == 0
        levels[name] = {level for level in LEVELS if (program.bucket / Layout().finding("b1", level)).exists()}
        if name == "all data":
            found = json.loads((program.bucket / Layout().finding("b1", "content")).read_bytes())
            assert (found["subset"], found["read"]) == (None, found["size"])
    assert levels == {
        "usual": {"listing", "content"},
        "never": set(),
        "no data": {"listing"},
        "all data": {"listing", "content"},
    }
