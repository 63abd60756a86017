"""``verify`` prints what stock Medusa 0.31 prints about the same bucket, word for word, and both end alike.

Where we differ on purpose is written down here as well: stock stops at an incomplete backup and never looks at
``Statistics.db``, forgives ``Summary.db``, and says OK where it cannot read a manifest.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from backupstore.core import layout as grammar
from backupstore.core.documents import Mode
from backupstore.core.layout import Layout
from backupstore.ports import ObjectStore
from backupstore.stores.local import LocalStore
from tests.harness.s3_servers import S3Server, versitygw
from tests.harness.s3_stores import opened
from tests.harness.stock import Outcome, Stock
from tests.interop.beside import BUCKET, Place, local_place, s3_place
from tests.operations.ring import Ring
from tests.shipper.cli.program import Done, run

pytestmark = pytest.mark.stock

MODES: tuple[Mode, ...] = ("differential", "full")
FIRST = "nb-1-big-Data.db"


class Stored(Ring):
    """A ring whose backups lie in a real bucket; on local disk manifests have no digests."""

    def __init__(self, store: ObjectStore, layout: Layout, *, digests: bool) -> None:
        super().__init__(layout, sstables=1)
        self._store, self._digests = store, digests

    @property
    def store(self) -> ObjectStore:
        return self._store

    def commit(self, node: str, name: str, objects: list[dict[str, object]]) -> None:
        super().commit(node, name, objects if self._digests else [{**each, "MD5": None} for each in objects])


@dataclass(frozen=True)
class Desk:
    """Both programs before one bucket."""

    place: Place
    ring: Ring
    folder: Path

    @property
    def stock(self) -> Stock:
        settings = {"storage": self.place.storage}
        return Stock(
            work=self.folder, base_path=self.folder, prefix=self.place.prefix or None, fqdn="n1", settings=settings
        )

    def ours(self, *arguments: str) -> Done:
        ini = self.stock.write_ini()
        (self.folder / "medusa-shipper.ini").write_text(f"[shipper]\nstate_dir = {self.folder / 'state'}\n")
        return run([sys.executable, "-m", "shipper", "--config-file", str(ini), *arguments])

    def both(self, *options: str) -> tuple[Outcome, Done]:
        """What both say of ``b``, after stock's index was made."""
        assert self.ours("build-index").code == 0
        theirs = self.stock.run("verify", "--backup-name", "b", *options)
        return theirs, self.ours("verify", "--backup-name", "b", *options)

    def key(self, node: str, file: str) -> str:
        (key,) = (each["path"] for each in self.ring.objects(node, "b") if each["path"].endswith(f"/{file}"))
        return str(key)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with versitygw(tmp_path_factory.mktemp("verify-like-stock")) as running:
        yield running


@pytest.fixture(params=["local", "S3"])
def desk(request: pytest.FixtureRequest, tmp_path: Path) -> Desk:
    if request.param == "local":
        place = local_place(tmp_path / "place", "east")
        return Desk(place, Stored(LocalStore(tmp_path / "place" / BUCKET), Layout("east"), digests=False), tmp_path)
    gateway: S3Server = request.getfixturevalue("server")
    bucket = f"verify-{tmp_path.name}".replace("_", "-").lower()[:60].rstrip("-")
    place = s3_place(gateway, tmp_path / "keys", bucket)
    return Desk(place, Stored(opened(gateway, bucket), Layout(), digests=True), tmp_path)


def same(theirs: Outcome, ours: Done, code: int) -> None:
    assert ours.out.splitlines() == theirs.stdout.splitlines(), theirs.stderr + ours.err
    assert (theirs.exit_code, ours.code) == (code, code)
    assert theirs.stdout.splitlines()[0] == "Validating b ..."


@pytest.mark.parametrize("mode", MODES)
def test_a_good_backup_with_and_without_digests(desk: Desk, mode: Mode) -> None:
    desk.ring.back_up("b", mode)
    if desk.place.name == "S3":  # stock cannot compare a digest that is null
        same(*desk.both("--enable-md5-checks"), 0)
    same(*desk.both(), 0)


@pytest.mark.parametrize("mode", MODES)
def test_an_object_that_is_gone_and_one_of_another_size(desk: Desk, mode: Mode) -> None:
    desk.ring.back_up("b", mode)
    gone, longer = desk.key("n1", FIRST), desk.key("n2", FIRST)
    desk.ring.store.delete([gone])
    desk.ring.store.put(longer, b"x")
    theirs, ours = desk.both()
    same(theirs, ours, 1)
    assert theirs.stdout.splitlines()[-2:] == [f"  - [{gone}] Doesn't exists", f"  - [{longer}] Blob different"]


def test_an_object_too_many_in_a_full_backup(desk: Desk) -> None:
    desk.ring.back_up("b", "full")
    extra = desk.ring.key("n3", "nb-9-big-Data.db", "b")
    desk.ring.store.create(extra, b"x")
    theirs, ours = desk.both()
    same(theirs, ours, 1)
    assert theirs.stdout.splitlines()[-1] == f"  - [{extra}] exists in storage, but not in manifest"


def test_another_digest_of_the_same_size(desk: Desk) -> None:
    """Stock sees it when it is asked to, we always; where a listing has no digest, neither does."""
    desk.ring.back_up("b")
    key = desk.key("n1", FIRST)
    desk.ring.store.put(key, bytes(len(desk.ring.store.read(key).body)))
    if desk.place.name == "S3":
        same(*desk.both("--enable-md5-checks"), 1)
        theirs, ours = desk.both()
        assert (theirs.exit_code, ours.code) == (0, 1)
    else:
        same(*desk.both(), 0)
        assert desk.ours("verify", "--backup-name", "b", "--level", "content").code == 1


def test_an_incomplete_backup(desk: Desk) -> None:
    """Stock stops there; we go on with what is there, as its manual shows."""
    desk.ring.back_up("b", nodes=("n1",))
    desk.ring.begin("n2", "b")
    theirs, ours = desk.both()
    assert (theirs.exit_code, ours.code) == (1, 1)
    assert ours.out.splitlines() == [*theirs.stdout.splitlines(), "- Manifest validated: OK!!"]
    assert "  - [n3] Backup missing" in theirs.stdout.splitlines()


def test_a_backup_that_is_not_there(desk: Desk) -> None:
    desk.ring.back_up("b")
    desk.both()
    theirs = desk.stock.verify("c")
    ours = desk.ours("verify", "--backup-name", "c")
    assert (ours.out, ours.code) == (theirs.stdout, theirs.exit_code) == ("", 1)


@pytest.mark.parametrize("file", ["nb-1-big-Statistics.db", "nb-1-big-Summary.db"])
def test_what_stock_forgives_cannot_be_restored_and_is_told(desk: Desk, file: str) -> None:
    desk.ring.back_up("b")
    key = desk.key("n1", file)
    desk.ring.store.put(key, b"rewritten")
    theirs, ours = desk.both()
    assert (theirs.exit_code, theirs.stdout.splitlines()[-1]) == (0, "- Manifest validated: OK!!")
    assert (ours.code, ours.out.splitlines()[-1]) == (1, f"  - [{key}] Blob different")


def test_a_manifest_that_cannot_be_read_is_not_good(desk: Desk) -> None:
    desk.ring.back_up("b")
    desk.both()
    desk.ring.store.put(desk.ring.layout.meta("n1", "b", grammar.MANIFEST), b"[")
    ours = desk.ours("verify", "--backup-name", "b")
    assert (ours.code, ours.out.splitlines()[1]) == (1, "- Completion: Not complete!")
