"""``monitoring_provider = prometheus`` and the directory of its files."""

from __future__ import annotations

from pathlib import Path

from tests.settings.node import cassandra_yaml
from tests.settings.shown import shows
from tests.shipper.cli.handmade import Made
from tests.shipper.cli.program import Program

ENVIRONMENT = {"MEDUSA_MONITORING_MONITORING_PROVIDER": "prometheus"}


@shows("shipper.textfile_directory")
def test_backups_and_reports_write_files_there(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    program = Program(
        tmp_path,
        storage=("prefix = east",),
        shipper=(f"textfile_directory = {tmp_path / 'files'}",),
        cassandra=(f"config_file = {cassandra_yaml(tmp_path)}",),
        environment=ENVIRONMENT,
    )
    program.bucket.mkdir()
    program.maker("east").ship("b1", Made(ring={"n1": "dc1", "n2": "dc1"}))
    assert program.run("report-last-backup", "--push-metrics").code == 0
    assert program.run("backup", "--backup-name", "b2").code == 1
    found = {path.name: path.read_text() for path in (tmp_path / "files").iterdir()}
    assert found.keys() == {"medusa-backup-east-n1.prom", "medusa-report-east.prom"}
    assert 'medusa_node_backup_backup_error{cluster="east",node="n1"} 1.0' in found["medusa-backup-east-n1.prom"]
    assert 'medusa_shipper_node_missing{cluster="east",node="n2"} 1.0' in found["medusa-report-east.prom"]
