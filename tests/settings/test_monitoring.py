"""Metrics as they come out of a socket: stock's names, its wire format, and nothing that could fail a backup."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from backupstore.core.measures import BACKUP_SIZE, NODE_MISSING, Sample
from backupstore.ports import Metrics
from backupstore.wiring import open_metrics
from shipper.backup import Report
from shipper.measures import measured
from shipper.transfer.ledger import Totals
from tests.settings.node import cassandra_yaml
from tests.settings.shown import ini, settings, shows
from tests.settings.udp import Receiver, receiver
from tests.shipper.cli.program import Program, run

REPORT = Report("b 1", 1, Totals(7, 4096, 2, 100, 0), 1.5)


class Said:
    """What the log was told."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.warnings: list[str] = []


def opened(folder: Path, said: Said, environ: dict[str, str] | None = None, /, **monitoring: str) -> Metrics:
    return open_metrics(
        settings(folder, monitoring=monitoring),
        environ or {},
        say=said.lines.append,
        warn=said.warnings.append,
    )


def send_all(metrics: Metrics, report: Report = REPORT) -> None:
    with measured(metrics, report.backup) as tell:
        tell(report)


def agent(udp: Receiver) -> dict[str, str]:
    return {"DD_AGENT_HOST": "127.0.0.1", "DD_DOGSTATSD_PORT": str(udp.port)}


@shows("monitoring.monitoring_provider", "monitoring.send_backup_name_tag")
@pytest.mark.parametrize(("tagged", "tag"), [("False", ""), ("True", "|#backup_name:b_1")])
def test_dogstatsd_gets_stocks_gauges(tmp_path: Path, tagged: str, tag: str) -> None:
    with receiver() as udp:
        send_all(opened(tmp_path, Said(), agent(udp), monitoring_provider="dog-statsd", send_backup_name_tag=tagged))
        assert udp.taken() == [
            f"medusa-node-backup.backup-duration:1.5|g{tag}",
            f"medusa-node-backup.backup-size:4096|g{tag}",
            f"medusa-node-backup.backup-corrupt:0|g{tag}",
            f"medusa-shipper.backup-new-bytes:100|g{tag}",
            f"medusa-node-backup.backup-error:0|g{tag}",
        ]


def test_dogstatsd_adds_what_the_agent_tells_containers(tmp_path: Path) -> None:
    with receiver() as udp:
        environ = agent(udp) | {"DD_ENV": "prod", "DATADOG_TAGS": "team:a,rack", "DD_ENTITY_ID": "pod 1"}
        told = [Sample(BACKUP_SIZE, 1, "east", "n1", "b"), Sample(NODE_MISSING, 1, "east", "n 1", "b")]
        off = environ | {"DD_DOGSTATSD_DISABLE": "true"}
        assert opened(tmp_path, Said(), environ, monitoring_provider="dog-statsd").send(told)
        assert opened(tmp_path, Said(), off, monitoring_provider="dog-statsd").send(told)
        agents = "team:a,rack,dd.internal.entity_id:pod_1,env:prod"
        assert udp.taken() == [
            f"medusa-node-backup.backup-size:1|g|#{agents}",
            f"medusa-shipper.node-missing:1|g|#cluster:east,node:n_1,{agents}",
        ]


def test_ffwd_gets_the_metrics_of_2019(tmp_path: Path) -> None:
    with receiver(19000) as udp:
        send_all(opened(tmp_path, Said(), monitoring_provider="ffwd"))
        sent = [json.loads(text) for text in udp.taken()]
    assert sent[0] == {
        "type": "metric",
        "key": "medusa-node-backup",
        "attributes": {"what": "backup-duration", "backupname": "b 1"},
        "value": 1.5,
    }
    assert [each["attributes"]["what"] for each in sent[1:]] == [
        "backup-size",
        "backup-corrupt",
        "backup-new-bytes",
        "backup-error",
    ]


def test_local_writes_them_into_the_log_and_none_says_nothing(tmp_path: Path) -> None:
    said = Said()
    send_all(opened(tmp_path, said, monitoring_provider="local"))
    assert said.lines[1] == 'metric {"seq": 1, "tags": ["medusa-node-backup", "backup-size", "b 1"], "value": 4096}'
    silent = Said()
    send_all(opened(tmp_path, silent))
    assert (silent.lines, silent.warnings, said.warnings) == ([], [], [])


def test_a_corrupt_backup_is_counted(tmp_path: Path) -> None:
    said = Said()
    send_all(opened(tmp_path, said, monitoring_provider="local"), replace(REPORT, totals=Totals(7, 4096, 2, 100, 3)))
    assert '"backup-corrupt", "b 1"], "value": 3}' in said.lines[2]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_whatever_ends_a_backup_early_is_an_error(tmp_path: Path, error: type[BaseException]) -> None:
    said = Said()
    metrics = opened(tmp_path, said, monitoring_provider="local")
    with pytest.raises(error), measured(metrics, "b1"):
        raise error
    assert said.lines == ['metric {"seq": 0, "tags": ["medusa-node-backup", "backup-error", "b1"], "value": 1}']


@pytest.mark.parametrize(
    "environ",
    [
        {"DD_AGENT_HOST": "no-such-host.invalid"},
        {"DD_AGENT_HOST": "a" * 80},
        {"DD_DOGSTATSD_PORT": "99999"},
        {"DD_AGENT_HOST": "127.0.0.1", "DD_DOGSTATSD_PORT": "1"},
        {"DD_DOGSTATSD_PORT": "none"},
    ],
)
def test_a_receiver_that_is_not_there_fails_nothing(tmp_path: Path, environ: dict[str, str]) -> None:
    said = Said()
    send_all(opened(tmp_path, said, environ, monitoring_provider="dog-statsd"))
    assert len(said.warnings) <= 1, "said once, not for each number"


@pytest.mark.parametrize(
    ("provider", "library", "extra"),
    [
        ("cloudwatch", "aws_lambda_powertools.metrics", "aws"),
        ("cloud-monitoring", "google.cloud.monitoring_v3", "gcp"),
    ],
)
def test_a_library_that_is_not_installed_is_named(tmp_path: Path, provider: str, library: str, extra: str) -> None:
    code = (
        f"import sys; sys.modules['{library}'] = None\nfrom pathlib import Path\n"
        "from backupstore.settings import load\nfrom backupstore.wiring import open_metrics\n"
        "from backupstore.errors import Misconfigured\n"
        "try:\n    open_metrics(load(Path(sys.argv[1]), {}).settings, {}, say=print, warn=print)\n"
        "except Misconfigured as error:\n    print(error.explained)"
    )
    file = ini(tmp_path, monitoring={"monitoring_provider": provider})
    done = run([sys.executable, "-c", code, str(file)])
    assert f"monitoring_provider = {provider}: " in done.out, done
    assert f"pip install '.[{extra}]'" in done.out


def test_the_program_reports_a_backup_that_failed(tmp_path: Path) -> None:
    with receiver() as udp:
        program = Program(
            tmp_path,
            cassandra=(f"config_file = {cassandra_yaml(tmp_path)}",),
            environment={**agent(udp), "MEDUSA_MONITORING_MONITORING_PROVIDER": "dog-statsd"},
        )
        done = program.run("backup", "--backup-name", "b1")
        assert done.code == 1
        assert udp.taken() == ["medusa-node-backup.backup-error:1|g"]
