"""Options of ``[shipper]`` for the agent of a node, each shown on what the agent is made of, or does."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from http.client import HTTPConnection
from pathlib import Path

import pytest

from backupstore.clock import SystemClock
from backupstore.core.layout import Layout
from backupstore.errors import Misconfigured
from backupstore.signing import read_signer, write_pair
from backupstore.wiring import open_bell
from shipper.agent.loop import Agent
from shipper.cli import agent_running
from shipper.cli.options import Globals
from tests.harness.pubsub_emulator import pubsub
from tests.harness.s3_servers import REGION, free_port
from tests.harness.scripted_server import scripted_server
from tests.harness.sqs_server import sqs
from tests.settings.node import cassandra_yaml
from tests.settings.shown import settings, shows
from tests.shipper.agent.world import JOB, Coordinator
from tests.shipper.cli.program import Program, until

NIGHTLY = "backup_schedule = 0 2 * * *"


def program(folder: Path, *lines: str) -> Program:
    """On a node that is only a cassandra.yaml."""
    made = Program(folder, shipper=lines, cassandra=(f"config_file = {cassandra_yaml(folder)}",))
    made.bucket.mkdir()
    return made


def agent_of(program: Program) -> Agent:
    """As the command line puts it together."""
    parts = agent_running._Parts(Globals(program.ini, {}, 0, log_timestamp=False))
    parts.state.prepare()
    return parts.agent()


def found_by_amazon(url: str) -> dict[str, str]:
    """What an environment says so that the queues are there."""
    keys = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_DEFAULT_REGION": REGION}
    return {**keys, "AWS_ENDPOINT_URL_SQS": url}


@shows("shipper.backup_schedule", "shipper.agent_listen", "shipper.backup_mode")
def test_it_waits_for_its_time_and_answers_there_meanwhile(tmp_path: Path) -> None:
    port = free_port()
    lines = (NIGHTLY, "backup_mode = full", f"agent_listen = 127.0.0.1:{port}")
    with program(tmp_path, *lines).running("agent") as running:
        running.until_said(f"answering /health and /metrics at 127.0.0.1 port {port}")
        running.until_said("backing up by the schedule 0 2 * * * (UTC), full")
        connection = HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request("GET", "/health")
        said = json.loads(connection.getresponse().read())
        connection.close()
        assert said["next_backup"].endswith("0200")
        running.process.terminate()
        assert running.process.wait(30) == 0
        assert running.said("stopped")


@shows("shipper.backup_mode", "shipper.stagger", "shipper.command_interval")
def test_mode_turns_and_looks_are_as_set(tmp_path: Path) -> None:
    lines = (NIGHTLY, "backup_mode = full", "stagger = 90", "command_interval = 40")
    agent = agent_of(program(tmp_path, *lines))
    assert (agent.backups.mode, agent.backups.stagger) == ("full", 90.0)
    agent.backups.diary.change(lambda diary: diary.model_copy(update={"place": 3}))
    assert agent.backups.offset == 270.0
    looks = [agent.interval() for _ in range(300)]
    assert min(looks) >= 20
    assert max(looks) <= 60
    assert max(looks) - min(looks) > 10, "not all nodes look at the same moments"


@shows("shipper.command_keys_file")
def test_commands_are_looked_for_where_there_are_keys(tmp_path: Path) -> None:
    (tmp_path / "without").mkdir()
    assert agent_of(program(tmp_path / "without", NIGHTLY)).orders is None
    (tmp_path / "with").mkdir()
    _, public = write_pair(tmp_path / "with")
    agent = agent_of(program(tmp_path / "with", f"command_keys_file = {public}"))
    assert agent.orders is not None
    assert set(agent.orders.mailbox.keys) == {public.read_text().split()[0]}
    assert agent.backups.upcoming(0.0) is None


@shows("shipper.command_queue")
def test_a_message_in_its_queue_has_it_look_at_once(tmp_path: Path) -> None:
    private, public = write_pair(tmp_path)
    with sqs(tmp_path) as server:
        queue = server.queue("n1-commands")
        lines = (
            f"command_queue = {queue.url}",
            f"command_keys_file = {public}",
            "command_interval = 3600",
            "agent_listen = ",
        )
        made = replace(program(tmp_path, *lines), environment=found_by_amazon(server.url))
        coordinator = Coordinator(made.store, Layout(), read_signer(private), SystemClock(), JOB, "n1")
        with made.running("agent") as running:
            running.until_said(f"looking for a command every 3600 seconds, and when {queue.url} says so")
            until(lambda: len(list(made.store.list("index/"))) == 0)
            coordinator.command("commit", 1)
            queue.client.send_message(QueueUrl=queue.url, MessageBody="{whatever")
            running.until_said(f"commanded by {JOB}: commit")
            until(lambda: queue.receive() == [])
            running.process.terminate()
            assert running.process.wait(15) == 0, "it does not wait for the queue"
            assert not running.said("Traceback")


@pytest.mark.parametrize(
    ("queue", "environment"),
    [
        (f"https://sqs.{REGION}.amazonaws.com/1/q", found_by_amazon(f"http://127.0.0.1:{free_port()}")),
        ("https://queues.example.com/1/q", {"AWS_CONFIG_FILE": "/nowhere"}),
        ("projects/lab/subscriptions/n1", {"GOOGLE_APPLICATION_CREDENTIALS": "/nowhere"}),
    ],
    ids=["away", "no region", "no credentials"],
)
def test_without_its_queue_it_goes_on_looking(tmp_path: Path, queue: str, environment: dict[str, str]) -> None:
    """Who ended for the want of a hint would be ended in the middle of a restore, too, with Cassandra down."""
    private, public = write_pair(tmp_path)
    lines = (f"command_queue = {queue}", f"command_keys_file = {public}", "command_interval = 1", "agent_listen = ")
    made = replace(program(tmp_path, *lines), environment=environment)
    coordinator = Coordinator(made.store, Layout(), read_signer(private), SystemClock(), JOB, "n1")
    with made.running("agent") as running:
        running.until_said("nobody tells of commands, so they are looked for every command_interval only")
        coordinator.command("commit", 1)
        running.until_said(f"commanded by {JOB}: commit")


def test_a_queue_of_pub_sub_has_it_look_too_and_does_not_hold_up_its_end(tmp_path: Path) -> None:
    private, public = write_pair(tmp_path)
    with pubsub(tmp_path) as emulator:
        topic = emulator.topic("commands")
        emulator.pulled_by("n1-commands", topic)
        lines = (
            "command_queue = projects/lab/subscriptions/n1-commands",
            f"command_keys_file = {public}",
            "command_interval = 3600",
            "agent_listen = ",
        )
        made = replace(program(tmp_path, *lines), environment={"PUBSUB_EMULATOR_HOST": emulator.host})
        coordinator = Coordinator(made.store, Layout(), read_signer(private), SystemClock(), JOB, "n1")
        with made.running("agent") as running:
            running.until_said("looking for a command every 3600 seconds")
            coordinator.command("commit", 1)
            emulator.publish(topic, b"whatever")
            running.until_said(f"commanded by {JOB}: commit")
            running.process.terminate()
            assert running.process.wait(15) == 0
            assert not running.said("Traceback")


@pytest.mark.parametrize(
    ("queue", "library"),
    [("projects/lab/subscriptions/n1", "google.cloud.pubsub_v1"), ("https://sqs.eu-west-1.amazonaws.com/1/q", "boto3")],
)
def test_a_library_that_is_not_installed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, queue: str, library: str
) -> None:
    for module in ("backupstore.queues.pubsub_bell", "backupstore.queues.sqs_bell"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(Misconfigured, match=f"command_queue = {queue}: {library} is not installed") as caught:
        open_bell(settings(tmp_path), queue)
    assert "pip install '.[" in caught.value.hint


@pytest.mark.parametrize(
    ("bucket", "shown"),
    [
        ({"storage_provider": "s3", "region": REGION}, b"Credential=OFFILE/"),
        ({"storage_provider": "s3_compatible", "host": "minio"}, b"Credential=a/"),
        ({}, b"Credential=a/"),
    ],
    ids=["of the bucket", "another store's bucket", "no bucket at Amazon"],
)
def test_the_keys_of_a_bucket_at_amazon_are_shown_to_the_queue(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bucket: dict[str, str], shown: bytes
) -> None:
    keys = tmp_path / "keys"
    keys.write_text("[default]\naws_access_key_id = OFFILE\naws_secret_access_key = x\n")
    nothing = b"HTTP/1.1 200 OK\r\ncontent-type: application/x-amz-json-1.0\r\ncontent-length: 2\r\n\r\n{}"
    with scripted_server([nothing]) as script:
        for name, value in found_by_amazon(f"http://127.0.0.1:{script.port}").items():
            monkeypatch.setenv(name, value)
        ours = settings(tmp_path, storage={**bucket, "key_file": str(keys)})
        assert list(open_bell(ours, f"https://sqs.{REGION}.amazonaws.com/1/q").wait()) == []
    assert shown in script.heads[0]


def test_the_key_of_a_bucket_at_google_is_shown_to_the_subscription(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("{}")
    bucket = {"storage_provider": "google_storage", "key_file": str(tmp_path / "key")}
    with pytest.raises(Misconfigured, match=r"no credentials: .*not in the expected format"):
        open_bell(settings(tmp_path, storage=bucket), "projects/p/subscriptions/s")


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ((), "the agent would have nothing to do"),
        (("command_keys_file = /nowhere/keys",), "/nowhere/keys cannot be read"),
        (("backup_schedule = daily",), "has not five fields"),
        ((NIGHTLY, "agent_listen = 192.0.2.1:1"), "agent_listen = 192.0.2.1:1"),
        ((NIGHTLY, "command_queue = projects/p/topics/t"), "command_queue = projects/p/topics/t"),
    ],
)
def test_what_cannot_work_is_told_at_once(tmp_path: Path, lines: tuple[str, ...], said: str) -> None:
    done = program(tmp_path, *lines).run("agent")
    assert done.code == 2
    assert said in done.err


def test_there_is_one_agent_of_a_node(tmp_path: Path) -> None:
    made = program(tmp_path, NIGHTLY, "agent_listen = ")
    with made.running("agent") as first:
        first.until_said("agent of n1")
        until((tmp_path / "state/agent.lock").exists)
        second = made.run("agent")
        assert second.code == 1
        assert "agent, process" in second.err
