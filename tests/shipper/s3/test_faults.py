"""Hundreds of faults at random places between the program and its store, each run from a seed that is told when it fails.

A run under faults ends complete and right, or with an error of ours that says what to do, and the same command without
faults then ends complete and right. Nothing else may happen: no half backup that looks whole, no file with other bytes,
no exception that is not ours.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from random import Random

import pytest

from backupstore.core.layout import Layout
from backupstore.errors import BackupError, Refused
from backupstore.ports import ObjectStore
from backupstore.stores.http.pool import Wire
from backupstore.stores.http.retry import Patience
from backupstore.stores.s3.options import Storing
from backupstore.stores.s3.store import S3Store
from shipper.download import Request, download
from shipper.progress import Silent
from tests.harness.s3_stores import How, opened
from tests.recorded import NAME
from tests.shipper.backup.world import World
from tests.shipper.restore import world as restores
from tests.shipper.restore.fake import which
from tests.shipper.s3.misfortune import LONG, misfortunes
from tests.shipper.s3.program import PREFIX
from tests.shipper.s3.scene import Scene, scene

MIB = 1 << 20
SHARES = (0.06, 0.12, 0.25, 0.6)


@dataclass
class Score:
    """What has happened in all."""

    struck: Counter[str] = field(default_factory=Counter)
    survived: int = 0
    told: list[BackupError] = field(default_factory=list)

    @property
    def faults(self) -> int:
        return self.struck.total()

    def check(self, least: int) -> None:
        """Enough happened, of every kind, and both ends were seen."""
        assert self.faults >= least
        assert len(self.struck) > 5, self.struck
        assert self.survived
        assert self.told
        assert [error for error in self.told if not error.message or not error.hint] == []


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with scene(tmp_path_factory.mktemp("faults"), big=7 * MIB) as made:
        yield made


def through_faults(stage: Scene, bucket: str, random: Random) -> S3Store:
    """The store behind the proxy, soon at the end of its patience."""
    return opened(
        stage.server,
        bucket,
        How(
            port=stage.proxy.port,
            storing=Storing(
                threshold=5 * MIB, part_size=5 * MIB, range_size=2 * MIB, parts_at_once=random.choice((1, 4))
            ),
            wire=Wire(read_timeout=LONG / 2),
            patience=Patience(seconds=0.5, least=3, first_pause=0.01, longest_pause=0.05),
        ),
    )


def try_it(stage: Scene, seed: int, score: Score, work: Callable[[], object]) -> bool:
    """Run it under faults. Whether it ended well."""
    with misfortunes(stage.proxy, seed, Random(seed).choice(SHARES)) as misfortune:
        try:
            work()
        except BackupError as error:
            score.told.append(error)
            return False
        finally:
            score.struck += misfortune.struck
    score.survived += 1
    return True


def check(world: World, backup: str, seed: int) -> None:
    world.check_backup(backup, world.node.contents())
    for file, entry in world.entries(backup).items():
        assert world.owner.head(entry.path).digest == entry.md5, (seed, file)
    assert world.announced(backup) == {"started", "finished"}, seed
    world.check_tidy()


def back_up(stage: Scene, world: World, backup: str, seed: int, score: Score) -> None:
    if not try_it(stage, seed, score, lambda: world.back_up(backup)):
        was_over = "finished" in world.announced(backup)
        try:
            world.back_up(backup)
        except Refused as error:
            if not was_over or "already finished" not in error.message:
                raise
    check(world, backup, seed)


def test_backups(stage: Scene) -> None:
    score = Score()
    for seed in count(1):
        random = Random(seed)
        place = stage.place()
        world = stage.world(place, through_faults(stage, place.bucket, random))
        world.limits = type(world.limits)(workers=random.choice((1, 4)))
        back_up(stage, world, "monday", seed, score)
        stage.node.restart_generations()
        back_up(stage, world, "tuesday", seed + 10_000, score)
        # What looked overwritten through a bad network is not put down as lost.
        assert world.announced("monday") == {"started", "finished"}, seed
        assert "damaged" not in world.meta("monday"), seed
        if score.faults >= 150 and score.survived > 2 and len(score.told) > 2:
            break
    score.check(150)


def test_downloads(stage: Scene, tmp_path: Path) -> None:
    """A file that has its name is whole, and a download that ended well holds them all."""
    score = Score()
    place = stage.place()
    assert place.run("backup", "--backup-name", "monday").code == 0
    contents = stage.world(place).node.contents()
    for seed in count(20_000):
        random, folder = Random(seed), tmp_path / "download"
        folder.mkdir()
        store = through_faults(stage, place.bucket, random)
        if not try_it(stage, seed, score, partial(fetch, store, folder, random.choice((1, 4)))):
            for file, body in contents.items():
                if (folder / file).exists():
                    assert (folder / file).read_bytes() == body, (seed, file)
            fetch(store, folder, 4)
        assert {file: (folder / file).read_bytes() for file in contents} == contents, seed
        assert {path.name for path in folder.iterdir() if path.is_file()} == META, seed
        shutil.rmtree(folder)
        if score.faults >= 60 and score.survived > 2 and len(score.told) > 2:
            break
    score.check(60)


META = {"schema.cql", "tokenmap.json", "manifest.json"}


def fetch(store: ObjectStore, folder: Path, workers: int) -> None:
    request = Request(NAME, "monday", folder)
    download(store, Layout(PREFIX), request, workers=workers, progress=Silent())


def test_restores(stage: Scene, tmp_path: Path) -> None:
    """Whatever the network does, the node is as it was or as the backup has it, and in the end as the backup has it."""
    score = Score()
    template = restores.make_world(tmp_path / "template")
    bucket = stage.server.bucket("restores")
    owner = opened(stage.server, bucket)
    for stored in template.owner.list(""):
        owner.create(stored.key, template.owner.read(stored.key).body)
    for seed in count(30_000):
        random, base = Random(seed), tmp_path / "node"
        shutil.copytree(template.base, base)
        world = restores.open_world(base, template.owner._bucket, through_faults(stage, bucket, random))  # type: ignore[attr-defined]
        world.workers = random.choice((1, 4))
        if not try_it(stage, seed, score, world.restore):
            assert which(base, world.directories) == "old", seed
            assert (base / "running").exists(), seed
            world.restore()
        assert world.stands() == "new", seed
        shutil.rmtree(base)
        if score.faults >= 60 and score.survived > 2 and len(score.told) > 2:
            break
    score.check(60)
