"""``report-last-backup`` as a user runs it: text, JSON, where it pushes numbers to, and what it does when it cannot."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.settings.udp import receiver
from tests.shipper.cli.handmade import Made
from tests.shipper.cli.program import Done, Program, tree
from tests.shipper.cli.test_listing import RING, started_at

REPORT = "report-last-backup"
METRIC = re.compile(r'metric (\{.*"tags": \["(medusa-(?:cluster|node)-backup|medusa-shipper)", .*\})$', re.MULTILINE)
NEVER = 315_365_400


@pytest.fixture
def shipped(program: Program) -> Program:
    """Two nodes: one whole backup, and one that the second node has not begun."""
    maker = program.maker()
    for node in RING:
        maker.ship("b1", Made(node, ring=RING))
    maker.ship("b2", Made("n1", ring=RING))
    started_at(program, 1_700_000_000, "b1", "n1")
    started_at(program, 1_700_000_000, "b1", "n2")
    started_at(program, 1_700_086_400, "b2", "n1")
    return program


def pushing(program: Program, provider: str, **environment: str) -> Program:
    environ = {"MEDUSA_MONITORING_MONITORING_PROVIDER": provider, **environment}
    return Program(program.directory, storage=program.storage, shipper=program.shipper, environment=environ)


def metrics(done: Done) -> dict[str, list[tuple[str, float]]]:
    """By name, what the provider ``local`` said: node or backup, and the value."""
    found: dict[str, list[tuple[str, float]]] = {}
    for match in METRIC.finditer(done.err):
        said = json.loads(match[1])
        key, what, backup = said["tags"]
        found.setdefault(f"{key}.{what}", []).append((said.get("node", backup), said["value"]))
    return found


def test_the_text(shipped: Program) -> None:
    assert shipped.run("build-index").code == 0
    before = tree(shipped.bucket)
    done = shipped.run(REPORT)
    assert (done.code, done.err) == (0, "")
    assert tree(shipped.bucket) == before
    assert re.sub(r"\d{5,} seconds", "N seconds", done.out).splitlines() == [
        "Latest node backup finished N seconds ago",
        "Latest complete backup:",
        "- Name: b1",
        "- Finished: N seconds ago",
        "Latest backup:",
        "- Name: b2",
        "- Finished: False",
        "- Details - Node counts",
        "- Complete backup: 1 nodes have completed the backup",
        "- Missing backup: 1 nodes are not running backups",
        "  These nodes are:",
        "     n2",
        "- Total size: 10.00 B",
        "- Total files: 2",
        "No complete backup has been verified yet",
    ]


def test_the_json(shipped: Program) -> None:
    assert shipped.run("build-index").code == 0
    found = shipped.run("--fqdn", "n2", REPORT, "--output", "json").json
    assert (found["node"]["fqdn"], found["node"]["name"]) == ("n2", "b1")
    assert (found["complete"]["name"], found["complete"]["finished"]) == ("b1", 1_700_000_060)
    assert (found["latest"]["name"], found["latest"]["missing_nodes_list"]) == ("b2", ["n2"])
    assert found["verified"] is None
    assert found["index_lag"] >= 0


def test_without_a_catalog_the_bucket_is_read_and_nothing_written(shipped: Program) -> None:
    before = tree(shipped.bucket)
    done = pushing(shipped, "local").run(REPORT, "--push-metrics")
    assert done.code == 0
    assert "there is no catalog yet: reading the bucket itself" in done.err
    assert "- Name: b1" in done.out
    assert metrics(done)["medusa-shipper.index-lag-seconds"] == [("", NEVER)]
    assert tree(shipped.bucket) == before


def test_the_numbers_are_pushed(shipped: Program) -> None:
    assert shipped.run("build-index").code == 0
    found = metrics(pushing(shipped, "local").run(REPORT, "--push-metrics"))
    ((complete, age),) = found["medusa-cluster-backup.seconds-since-backup"]
    assert complete == "b1"
    assert 0 < age < NEVER
    assert found["medusa-cluster-backup.missing-backups-node-count"] == [("b2", 1)]
    assert found["medusa-shipper.node-missing"] == [("n2", 1)]
    assert [backup for backup, _ in found["medusa-node-backup.seconds-since-backup"]] == ["b2"]
    assert not metrics(pushing(shipped, "local").run(REPORT)), "only when it is asked for"


def test_an_agent_of_datadog_gets_them(shipped: Program) -> None:
    assert shipped.run("build-index").code == 0
    with receiver() as udp:
        environ = {"DD_AGENT_HOST": "127.0.0.1", "DD_DOGSTATSD_PORT": str(udp.port)}
        assert pushing(shipped, "dog-statsd", **environ).run(REPORT, "--push-metrics").code == 0
        told = udp.taken()
    assert "medusa-cluster-backup.complete-backups-node-count:1|g" in told
    assert "medusa-shipper.node-missing:1|g|#node:n2" in told


@pytest.mark.parametrize(
    ("provider", "environment", "why"),
    [
        ("None", {}, "no provider is set"),
        ("cloudwatch", {"AWS_EMF_AGENT_ENDPOINT": "tcp://127.0.0.1:1"}, "the receiver did not take them"),
        ("prometheus", {"MEDUSA_SHIPPER_TEXTFILE_DIRECTORY": "/no/such/folder"}, "the receiver did not take them"),
        ("dog-statsd", {"DD_AGENT_HOST": "no-such-host.invalid"}, "the receiver did not take them"),
        (
            "cloud-monitoring",
            {"GOOGLE_APPLICATION_CREDENTIALS": "/no/such/file"},
            "the receiver did not take them",
        ),
    ],
)
def test_numbers_that_could_not_be_pushed(
    shipped: Program, provider: str, environment: dict[str, str], why: str
) -> None:
    assert shipped.run("build-index").code == 0
    done = pushing(shipped, provider, **environment).run(REPORT, "--push-metrics")
    assert done.code == 1
    assert "- Name: b1" in done.out, "the report is there all the same"
    assert f"The metrics were not pushed: {why}." in done.err


def test_a_bucket_that_cannot_be_read_is_told_to_monitoring(tmp_path: Path) -> None:
    done = pushing(Program(tmp_path), "local").run(REPORT, "--push-metrics")
    assert done.code == 1
    assert metrics(done) == {
        "medusa-cluster-backup.seconds-since-backup": [("TRACKING-ERROR", NEVER)],
        "medusa-shipper.report-error": [("", 1)],
    }
    assert "TRACKING-ERROR" not in Program(tmp_path).run(REPORT).err


def test_each_cluster_has_its_own(program: Program) -> None:
    program.maker("east").ship("e1")
    program.maker("west").ship("w1")
    done = pushing(program, "local").run("--prefix", "west", REPORT, "--push-metrics")
    assert "- Name: w1" in done.out
    assert "e1" not in done.out
    assert '"cluster": "west"' in done.err
