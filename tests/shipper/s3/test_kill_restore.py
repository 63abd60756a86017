"""Killed by SIGKILL at every request of a restore or a download: nothing was stopped yet, and the same command finishes."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import replace
from random import Random

import pytest

from tests.harness.faulty_proxy import Fault
from tests.shipper.s3.program import OnS3
from tests.shipper.s3.scene import Scene, killed_by, moved_on, scene, stands

RESTORE = ("restore-node", "--backup-name", "monday")
WAYS = {
    "before": Fault(lose_request=True),
    "amid": Fault("GET", "/data/", cut_answer=0),
    "after": Fault(lose_answer=True),
}


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with scene(tmp_path_factory.mktemp("restores"), big=9 << 20) as made:
        before = made.place()
        assert before.run("backup", "--backup-name", "monday").code == 0
        made.before = before
        yield made


def requests_of(stage: Scene, place: OnS3, *command: str) -> list[str]:
    stage.proxy.requests.clear()
    assert place.run(*command).code == 0
    return [f"{method} {target}" for method, target, _ in stage.proxy.requests]


@pytest.mark.parametrize("way", WAYS)
def test_killed_at_any_request_a_restore_is_finished_or_taken_back(stage: Scene, way: str) -> None:
    calm = moved_on(stage.place())
    requests = requests_of(stage, calm, *RESTORE)
    assert stands(calm) == "new"
    fetches = [request for request in requests if request.startswith("GET ") and "/data/" in request]
    assert len(fetches) > len(stage.node.contents()), "one file comes in several ranges"
    numbers = range(len(fetches) if way == "amid" else len(requests))

    for number in numbers:
        place = moved_on(stage.place())
        fault = replace(WAYS[way], spared=number)
        done = killed_by(stage.proxy, fault, lambda place=place: place.start(*RESTORE))  # type: ignore[misc]
        assert done.code == -signal.SIGKILL, done
        assert (place.node / "running").exists(), "everything is fetched before anything is stopped"
        if (place.state / "restore.json").exists() and number % 3 == 0:
            done = place.run("restore-node", "--undo")
            assert done.code == 0, done
            assert stands(place) == "old"
        else:
            done = place.run(*RESTORE)
            assert done.code == 0, done
            assert stands(place) == "new"


@pytest.mark.parametrize("seed", range(3))
def test_killed_again_and_again_a_download_finishes(stage: Scene, seed: int) -> None:
    random, place = Random(seed), stage.place()
    place = replace(place, storage={"concurrent_transfers": random.choice("148"), "multipart_max_concurrency": "2"})
    folder = place.base / "download"
    folder.mkdir()
    command = ("download", "--backup-name", "monday", "--download-destination", str(folder))
    contents = stage.node.contents()
    kills = 0
    for way in ("before", "amid", "after", "before"):
        fault = replace(WAYS[way], spared=random.randint(0, 6))
        kills += killed_by(stage.proxy, fault, lambda: place.start(*command)).code == -signal.SIGKILL
        whole = {file for file in contents if (folder / file).exists()}
        assert all((folder / file).read_bytes() == contents[file] for file in whole)
        if (folder / "manifest.json").exists():
            break
    assert kills
    if not (folder / "manifest.json").exists():
        done = place.run(*command)
        assert done.code == 0, done
    assert {file: (folder / file).read_bytes() for file in contents} == contents
    assert not list(folder.rglob("*.part"))
