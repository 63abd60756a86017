"""Killed by SIGKILL at every single request of a backup: the same command then ends as if nothing had been.

Each request is a point: before the store hears of it, in the middle of its body, and after the store has done it but
before anybody hears of that. One file goes in parts, so that the beginning of a multipart upload, its parts and its
completion are among them.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import replace
from random import Random

import pytest

from shipper.serve import Server
from tests.clocks import SettableClock
from tests.harness.faulty_proxy import Fault
from tests.shipper.s3.program import OnS3
from tests.shipper.s3.scene import Scene, killed_by, scene

_DAY = 86400.0
BACKUP = ("backup", "--backup-name", "monday")
WAYS = {
    "before": Fault(lose_request=True),
    "amid": Fault(cut_request=1000),
    "after": Fault(lose_answer=True),
}


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """Nothing was before."""
    with scene(tmp_path_factory.mktemp("empty")) as made:
        yield made


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """An earlier backup, and other content under the same names since."""
    with scene(tmp_path_factory.mktemp("used")) as made:
        before = made.place()
        assert before.run("backup", "--backup-name", "sunday").code == 0
        made.node.restart_generations()
        made.before = before
        yield made


def requests_of(made: Scene, place: OnS3) -> list[tuple[str, str, int]]:
    """Method, target and size of the body of each request of a run that nobody disturbs."""
    made.proxy.requests.clear()
    done = place.run(*BACKUP)
    assert done.code == 0, done
    return [
        (method, target.replace(place.bucket, ""), int(headers.get("content-length", 0)))
        for method, target, headers in made.proxy.requests
        if "catalog" not in target  # whether it is indexed: nothing depends on that
    ]


def finish(made: Scene, place: OnS3) -> None:
    """The same command again. Where everything was over, it may also say so."""
    was_over = "finished" in made.world(place).announced("monday")
    done = place.run(*BACKUP)
    assert done.code == 0 or (was_over and "already finished" in done.err), done


def check(made: Scene, place: OnS3, undisturbed: dict[str, bytes]) -> None:
    world = made.world(place)
    assert world.comparable() == undisturbed
    world.check_backup("monday", world.node.contents())
    for file, entry in world.entries("monday").items():
        assert world.owner.head(entry.path).digest == entry.md5, file
    world.check_tidy()


def die(made: Scene, place: OnS3, number: int, way: str) -> None:
    done = killed_by(made.proxy, replace(WAYS[way], spared=number), lambda: place.start(*BACKUP))
    assert done.code == -signal.SIGKILL, done


@pytest.mark.parametrize("way", WAYS)
def test_killed_at_any_request_the_same_command_finishes(empty: Scene, way: str) -> None:
    calm = empty.place()
    requests = requests_of(empty, calm)
    undisturbed = empty.world(calm).comparable()
    check(empty, calm, undisturbed)
    steps = [method for method, target, _ in requests if "upload" in target]
    assert steps == ["POST", "PUT", "PUT", "PUT", "POST"], "begun, three parts, completed"
    begun = next(number for number, (_, target, _) in enumerate(requests) if target.endswith("uploads="))

    for number, (_, target, size) in enumerate(requests):
        if way == "amid" and size <= 1000:
            continue
        place = empty.place()
        die(empty, place, number, way)
        is_open = begun < number <= begun + 4 or (number == begun and way == "after")
        is_completed = number == begun + 4 and way == "after"
        assert empty.open_uploads(place) == (is_open and not is_completed), target
        finish(empty, place)
        check(empty, place, undisturbed)


@pytest.mark.parametrize("way", WAYS)
def test_killed_anywhere_beside_other_content_the_same_command_finishes(used: Scene, way: str) -> None:
    calm = used.place()
    requests = requests_of(used, calm)
    undisturbed = used.world(calm).comparable()
    check(used, calm, undisturbed)
    assert sum("/data-v/" in key for key in undisturbed) == len(used.node.contents()) - 3, (
        "the digests of TOC.txt are equal"
    )

    numbers = [number for number, (_, _, size) in enumerate(requests) if way != "amid" or size > 1000]
    for number in Random(way).sample(numbers, min(12, len(numbers))):
        place = used.place()
        die(used, place, number, way)
        finish(used, place)
        check(used, place, undisturbed)


@pytest.mark.parametrize("seed", range(4))
def test_killed_again_and_again_it_finishes_in_the_end(used: Scene, seed: int) -> None:
    """Also with several transfers at once."""
    calm, random = used.place(), Random(seed)
    assert calm.run(*BACKUP).code == 0
    undisturbed = used.world(calm).comparable()

    place = used.place(storage={"concurrent_transfers": random.choice("148"), "multipart_max_concurrency": "3"})
    kills = 0
    for _ in range(6):
        fault = replace(WAYS[random.choice(("before", "after"))], spared=random.randint(6, 24))
        done = killed_by(used.proxy, fault, lambda: place.start(*BACKUP))
        if done.code == 0:
            break
        kills += 1
    assert kills > 1
    finish(used, place)
    check(used, place, undisturbed)


def test_what_killed_uploads_left_is_swept_after_a_day(empty: Scene) -> None:
    place = empty.place()
    for _ in range(2):
        fault = Fault("PUT", "partNumber=1", lose_answer=True)
        assert killed_by(empty.proxy, fault, lambda: place.start(*BACKUP)).code == -signal.SIGKILL
    finish(empty, place)
    assert empty.open_uploads(place) == 2
    held = empty.world(place).comparable()

    clock = SettableClock(empty.world(place).clock.now())
    server = Server(empty.world(place).owner, clock, lambda: f"{clock.running()}", 300.0, "prod")
    assert server.once()
    assert empty.open_uploads(place) == 2, "they may be at work still"
    clock.advance(_DAY + 60)
    assert server.once()
    assert empty.open_uploads(place) == 0
    after = empty.world(place).comparable()
    assert {key: after[key] for key in held} == held
