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
from tests.shipper.cli.handmade import Made
from tests.shipper.cli.program import Program, until


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


@shows("shipper.report_schedule")
def test_the_report_is_sent_when_its_time_has_come(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    every_minute = (
        "report_schedule = * * * * *",
        f"textfile_directory = {tmp_path / 'files'}",
        "reconcile_interval = 3600",
    )
    program = Program(
        tmp_path, shipper=every_minute, environment={"MEDUSA_MONITORING_MONITORING_PROVIDER": "prometheus"}
    )
    program.bucket.mkdir()
    for prefix in ("east", "west"):
        program.maker(prefix).ship("b1", Made(ring={"n1": "dc1", "n2": "dc1"}))
    with program.running("serve") as server:
        files = [tmp_path / "files" / f"medusa-report-{prefix}.prom" for prefix in ("east", "west")]
        until(lambda: all(file.exists() for file in files), 120, server.log.read_text)
        server.process.terminate()
        assert server.process.wait(30) == 0
    assert 'medusa_shipper_node_missing{cluster="west",node="n2"} 1.0' in files[1].read_text()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("report_schedule = 0 * * * *", "there is nobody to report to"),
        ("purge_schedule = 0 25 * * *", "has no hour from 0 to 23"),
        ("purge_schedule = @daily", "has not five fields"),
    ],
)
def test_a_schedule_that_would_do_nothing_is_a_mistake(tmp_path: Path, line: str, said: str) -> None:
    program = Program(tmp_path, shipper=(line,))
    program.bucket.mkdir()
    done = program.run("serve")
    assert done.code == 2
    assert said in done.err
