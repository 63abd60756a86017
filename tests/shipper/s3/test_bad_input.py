"""Everything around the program that can be wrong: told in words with what to do, in an exit code, and nothing is lost.

After each of them the same commands, with what was wrong set right, end as if nothing had been.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import pytest

from backupstore.stores.s3.endpoint import own
from backupstore.stores.s3.signing import Keys
from backupstore.stores.s3.store import S3Store
from tests.clocks import SettableClock
from tests.harness.faulty_proxy import Fault, refusal
from tests.harness.forgetful import without_conditions
from tests.harness.s3_servers import REGION, free_port
from tests.harness.s3_stores import FixedKeys
from tests.shipper.cli.program import Done
from tests.shipper.s3.program import OnS3
from tests.shipper.s3.scene import Scene, moved_on, scene, stands

BACKUP = ("backup", "--backup-name", "monday")
READING = [("list-backups",), ("status", "--backup-name", "sunday"), ("get-last-complete-cluster-backup",)]
INDEXING = [("build-index",), ("serve", "--once")]
RESTORE = ("restore-node", "--backup-name", "sunday")
ALWAYS = 100_000
SOON = 0.3


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """One backup was made, ``sunday``."""
    with scene(tmp_path_factory.mktemp("bad"), big=6 << 20) as made:
        before = made.place()
        assert before.run("backup", "--backup-name", "sunday").code == 0
        made.before = before
        made.node.compact("shop.orders")
        made.node.grow("shop.orders", 6 << 20)
        yield made


@pytest.fixture
def place(stage: Scene) -> Iterator[OnS3]:
    """A copy of bucket and state; afterwards every command must work on it."""
    made = stage.place()
    yield made
    stage.proxy.faults.clear()
    stage.proxy.chance = stage.proxy.rewrite = None
    done = made.run(*BACKUP)
    assert done.code == 0, done
    world = stage.world(made)
    world.check_backup("monday", world.node.contents())
    world.check_tidy()
    folder = made.base / "downloaded"
    folder.mkdir()
    assert made.run("download", "--backup-name", "sunday", "--download-destination", str(folder)).code == 0
    assert made.run("serve", "--once").code == 0
    assert made.run("list-backups").out.split()[::8][:1] == ["sunday"]


def commands(place: OnS3) -> list[tuple[str, ...]]:
    folder = place.base / "download"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    download = ("download", "--backup-name", "sunday", "--download-destination", str(folder))
    return [BACKUP, RESTORE, download, *READING, *INDEXING]


def check_told(done: Done, *said: str, code: int = 1) -> None:
    """In words, with a way out, and not as a stack trace."""
    assert done.code == code, done
    assert "Traceback" not in done.err
    assert "defect" not in done.err
    assert "\n  → " in done.err, done.err
    for text in said:
        assert text in done.err, done.err
    assert not done.out


@dataclass(frozen=True)
class Wrong:
    """Settings that are wrong in one way, and what is said of it."""

    said: tuple[str, ...]
    code: int
    change: Callable[[OnS3], OnS3]


WRONG = {
    "secret": Wrong(
        ("SignatureDoesNotMatch", "The secret key is not the one"), 1, lambda p: replace(p, secret="wrong")
    ),
    "key": Wrong(("InvalidAccessKeyId", "check key_file"), 1, lambda p: replace(p, access="nobody")),
    "region": Wrong(("it is in us-east-1", "Set region = us-east-1."), 2, lambda p: replace(p, region="eu-west-1")),
    "bucket": Wrong(("no such bucket: absent", "Check bucket_name"), 1, lambda p: replace(p, bucket="absent")),
    "key_file": Wrong(
        ("key_file = /nowhere", "No such file"), 2, lambda p: replace(p, storage={"key_file": "/nowhere"})
    ),
    "port": Wrong(
        ("no connection", "is the server running?"), 1, lambda p: replace(p, port=free_port(), patience=SOON)
    ),
    "host": Wrong(
        ("its name cannot be resolved",), 1, lambda p: replace(p, storage={"host": "nowhere.invalid"}, patience=SOON)
    ),
    "secure": Wrong(
        ("does not speak TLS", "secure = False"), 2, lambda p: replace(p, port=0, storage={"secure": "True"})
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_settings(place: OnS3, what: str) -> None:
    wrong = WRONG[what]
    for command in commands(place):
        check_told(wrong.change(place).run(*command), *wrong.said, code=wrong.code)


TROUBLE = {
    "503": (Fault(times=ALWAYS, answer=refusal(503, "SlowDown")), "SlowDown", "fewer concurrent_transfers"),
    "500": (Fault(times=ALWAYS, answer=refusal(500, "InternalError")), "InternalError", "try again later"),
    "slow": (Fault(times=ALWAYS, delay=1.2), "no answer in time", "Check the network"),
    "cut": (Fault(times=ALWAYS, lose_answer=True), "was lost", "Check the network"),
    "not S3": (Fault(times=ALWAYS, answer=b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"), "", ""),
    "expired": (Fault(times=ALWAYS, answer=refusal(400, "ExpiredToken")), "ExpiredToken", "renew them"),
}


@pytest.mark.parametrize("what", TROUBLE)
def test_a_store_in_trouble(stage: Scene, place: OnS3, what: str) -> None:
    fault, *said = TROUBLE[what]
    stage.proxy.faults.append(replace(fault))
    impatient = replace(place, patience=SOON, storage={**place.storage, "read_timeout": "1"})
    for command in commands(place)[: 3 if what == "slow" else 5]:
        check_told(impatient.run(*command), *said)


IN_THE_MIDDLE = {
    "cuts in a part": (Fault("PUT", "partNumber=2", ALWAYS, cut_request=1000), "was lost"),
    "answers of a part are lost": (Fault("PUT", "partNumber=2", ALWAYS, lose_answer=True), "was lost"),
    "a byte up flips": (Fault("PUT", "partNumber=1", ALWAYS, flip_request=99), "the bytes changed on the way"),
    "a byte of a small file flips": (
        Fault("PUT", "Statistics.db", ALWAYS, flip_request=0),
        "the bytes changed on the way",
    ),
    "the store says another checksum": (
        Fault(
            "PUT",
            "Index.db",
            ALWAYS,
            answer=b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\netag: x\r\nx-amz-checksum-crc64nvme: AAAAAAAAAAA=\r\n\r\n",
        ),
        "the bytes changed on the way",
    ),
    "credentials expire": (
        Fault(times=ALWAYS, spared=22, answer=refusal(400, "ExpiredToken")),
        "The session has ended",
    ),
    "rights are taken away": (Fault("PUT", "/data/", ALWAYS, answer=refusal(403, "AccessDenied")), "AccessDenied"),
    "the bucket is full": (
        Fault("PUT", "/data/", ALWAYS, answer=refusal(507, "XMinioStorageFull")),
        "the store is full",
    ),
}


@pytest.mark.parametrize("what", IN_THE_MIDDLE)
def test_trouble_in_the_middle_of_a_backup(stage: Scene, place: OnS3, what: str) -> None:
    fault, said = IN_THE_MIDDLE[what]
    stage.proxy.faults.append(replace(fault))
    check_told(replace(place, patience=SOON).run(*BACKUP), said)
    world = stage.world(place)
    assert "manifest.json" not in world.meta("monday")
    assert world.announced("monday") == {"started"}


WHILE_FETCHING = {
    "a byte down flips": (Fault("GET", "/data/", ALWAYS, flip_answer=0), "the bytes changed on the way"),
    "answers are cut": (Fault("GET", "/data/", ALWAYS, cut_answer=0), "was lost"),
    "credentials expire": (Fault("GET", "/data/", ALWAYS, spared=5, answer=refusal(400, "ExpiredToken")), "renew them"),
}


@pytest.mark.parametrize("what", WHILE_FETCHING)
def test_trouble_in_the_middle_of_a_restore(stage: Scene, place: OnS3, what: str) -> None:
    sunday = replace(place, node=place.base / "sunday")
    shutil.copytree(stage.node.base, sunday.node)
    assert sunday.run("backup", "--backup-name", "restored").code == 0
    node = moved_on(sunday)
    fault, said = WHILE_FETCHING[what]
    stage.proxy.faults.append(replace(fault))
    check_told(replace(node, patience=SOON).run("restore-node", "--backup-name", "restored"), said)
    assert (node.node / "running").exists(), "it was never stopped"
    stage.proxy.faults.clear()
    done = node.run("restore-node", "--backup-name", "restored")
    assert done.code == 0, done
    assert stands(node) == "new"


def test_a_minute_of_503_is_waited_for(stage: Scene, place: OnS3, caplog: pytest.LogCaptureFixture) -> None:
    """With the patience that everybody has, and not in silence; the minute passes on a clock of its own."""
    clock = SettableClock(time.time())
    begun, server = clock.now(), stage.server
    store = S3Store(
        own(place.bucket, REGION, (server.host, stage.proxy.port), secure=False),
        FixedKeys(Keys(server.access, server.secret)),
        clock,
    )
    busy = refusal(503, "SlowDown")
    stage.proxy.chance = lambda *_: Fault(answer=busy) if 5 < clock.now() - begun < 65 else None
    clock.step = 0.1  # some requests come before the trouble
    stage.world(place, store).back_up("tuesday")
    assert clock.now() - begun > 65
    assert "the store answered SlowDown (as arranged); trying again, for some 90 seconds in all" in caplog.text
    world = stage.world(place)
    world.check_backup("tuesday", world.node.contents())


def test_a_store_that_ignores_conditions_is_told_of(stage: Scene, place: OnS3) -> None:
    fresh = replace(place, base=place.base / "fresh")  # it has not seen this bucket yet
    stage.proxy.rewrite = without_conditions(stage.server)
    done = fresh.run("backup", "--backup-name", "tuesday")
    assert done.code == 0, done
    assert "ignores conditional writes" in done.err
    done = fresh.run("serve", "--once")
    assert done.code == 0, done
    assert "conditional writes: run no second 'serve'" in done.err
    world = stage.world(place)
    world.check_backup("tuesday", world.node.contents())


def test_the_bucket_goes_away_after_the_backup(stage: Scene, place: OnS3) -> None:
    """What is asked after the commit is only for information: the backup is good."""
    stage.proxy.faults.append(Fault("GET", "catalog", ALWAYS, answer=refusal(403, "AccessDenied")))
    done = place.run("backup", "--backup-name", "tuesday")
    assert done.code == 0, done
    assert done.out.startswith("tuesday of ")
    assert "whether it is in the catalog cannot be seen" in done.err
