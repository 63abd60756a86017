"""The machine under a backup: a damaged memory, a full disk, a directory that is not ours. Errors say what to do."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from backupstore.errors import BackupError, Corrupt, Denied, NodeTrouble, NoSpace
from backupstore.ports import StoredObject
from shipper.state import StateDirectory, replace_file
from shipper.transfer.known import KnownFiles, LocalFile
from shipper.transfer.ledger import open_ledger
from shipper.transfer.pool import in_parallel
from shipper.transfer.source import Changed, FileSource, Seen, signed
from tests.shipper.backup.world import World

FILE = LocalFile(1, 2, 3, 4)
STORED = StoredObject("key", 3, 5.0, "digest")


# --- the memory of known files ---


@pytest.mark.parametrize("damage", [b"", b"no database at all", b"SQLite format 3\0" + bytes(200)])
def test_a_damaged_memory_is_made_anew(world: World, damage: bytes) -> None:
    world.back_up("monday")
    world.state.known_files.write_bytes(damage)
    report = world.back_up("tuesday")
    assert report.totals.new_files == 0
    world.check_backup("tuesday", world.node.contents())


def test_a_memory_of_another_version_is_made_anew(world: World) -> None:
    world.state.prepare()
    old = sqlite3.connect(world.state.known_files)
    old.executescript("CREATE TABLE known (device INTEGER); PRAGMA user_version = 1;")
    old.close()
    world.back_up("monday")
    world.check_backup("monday", world.node.contents())


def test_a_memory_that_turns_out_to_be_damaged_on_the_way_is_set_aside(world: World) -> None:
    world.back_up("monday")
    path = world.state.known_files
    pages = path.read_bytes()
    path.write_bytes(pages[:4096] + b"\xff" * (len(pages) - 4096))
    with pytest.raises(NodeTrouble, match="was damaged") as caught:
        world.back_up("tuesday")
    assert "again" in caught.value.hint
    world.back_up("tuesday")
    world.check_backup("tuesday", world.node.contents())
    world.check_tidy()


def test_a_memory_that_cannot_be_opened_is_an_error_with_a_hint(world: World) -> None:
    world.state.prepare()
    world.state.known_files.mkdir()
    with pytest.raises(Denied, match="databases in") as caught:
        world.back_up("monday")
    assert str(world.state.path) in caught.value.hint


def test_what_is_remembered_survives_and_is_of_one_bucket_and_one_scope(tmp_path: Path) -> None:
    path = tmp_path / "known"
    shared = KnownFiles(path, "bucket")
    shared.add(FILE, "sha", 7, STORED, now=1.0)
    shared.mark_checked(FILE.device, FILE.inode, "Data.db")
    shared.close()

    full = KnownFiles(path, "bucket", "monday")
    assert full.get(FILE) is None
    full.add(FILE, "sha", 7, STORED, now=2.0)
    full.close()

    shared = KnownFiles(path, "bucket")
    known = shared.get(FILE)
    assert known
    assert (known.sha256, known.parts, known.read_at) == ("sha", "Data.db", 1.0)
    assert shared.get(FILE._replace(mtime_ns=5)) is None
    assert shared.content_of(STORED) == "sha"
    shared.keep_only([])
    assert shared.get(FILE) is None
    shared.close()
    other = KnownFiles(path, "another bucket")
    assert other.content_of(STORED) is None
    other.close()


# --- the state directory ---


def test_a_full_disk_under_the_state_is_told_and_nothing_is_half_written(tmp_path: Path) -> None:
    path = tmp_path / "value.json"
    replace_file(path, b"old")
    (tmp_path / "value.json.new").symlink_to("/dev/full")
    with pytest.raises(NoSpace, match="No space left") as caught:
        replace_file(path, b"new")
    assert "Free space" in caught.value.hint
    assert path.read_bytes() == b"old"


def test_a_full_disk_under_the_manifest_ends_the_backup_and_the_same_command_goes_on(world: World) -> None:
    world.state.prepare()
    world.state.spool.symlink_to("/dev/full")
    with pytest.raises(NoSpace):
        world.back_up("monday")
    assert "manifest.json" not in world.meta("monday")
    world.state.spool.unlink()
    world.back_up("monday")
    world.check_backup("monday", world.node.contents())
    world.check_tidy()


def test_a_state_directory_that_cannot_be_made_is_denied(world: World, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    world.state = StateDirectory(tmp_path / "file" / "state")
    with pytest.raises(Denied, match="cannot be made") as caught:
        world.back_up("monday")
    assert "state_dir" in caught.value.hint


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b'{"names": 7}', b"[" * 100_000])
@pytest.mark.parametrize("name", ["open-backups", "snapshot", "conditions", "pace", "last"])
def test_whatever_lies_in_the_state_directory_is_only_forgotten(memory_world: World, name: str, body: bytes) -> None:
    world = memory_world
    world.back_up("sunday")
    (world.state.path / f"{name}.json").write_bytes(body)
    world.back_up("monday")
    world.check_backup("monday", world.node.contents())
    world.check_tidy()


# --- one file ---


def source(path: Path, body: bytes = b"content", **how: str) -> FileSource:
    path.write_bytes(body)
    return FileSource(path, Seen.of(path.stat()), **how)  # type: ignore[arg-type] # what a test names


def test_a_file_that_grew_or_shrank_or_was_exchanged_never_gives_its_last_piece(tmp_path: Path) -> None:
    size = 3 * (1 << 20)
    for change in (b"x" * (size + 1), b"x" * (size - 1), b"y" * size):
        path = tmp_path / "file"
        seen = source(path, b"x" * size)
        path.unlink()
        path.write_bytes(change)
        given: list[bytes] = []
        with pytest.raises(Changed):
            given.extend(seen.chunks())
        assert sum(map(len, given)) < size


def test_other_content_than_expected_never_gives_its_last_piece(tmp_path: Path) -> None:
    for body in (b"", b"content"):
        with pytest.raises(Changed):
            assert next(source(tmp_path / "file", body, sha256="0" * 64).chunks()) is None


def test_a_file_that_the_disk_cannot_read_is_corrupt(tmp_path: Path) -> None:
    path = tmp_path / "file"
    status = source(path)._seen
    path.unlink()
    path.mkdir()  # as near as a test comes to a disk error
    with pytest.raises(Corrupt, match="cannot read") as caught:
        FileSource(path, status).digest()
    assert "dmesg" in caught.value.hint


def test_a_file_that_is_gone_says_who_may_have_done_it(tmp_path: Path) -> None:
    gone = source(tmp_path / "file")
    gone.path.unlink()
    with pytest.raises(NodeTrouble, match="is gone"):
        gone.digest()


def test_inodes_of_sixty_four_bits_fit_into_the_database() -> None:
    assert signed((1 << 64) - 1) == -1
    assert signed(7) == 7


# --- the pool ---


def test_after_an_error_what_was_in_flight_is_still_told() -> None:
    done: list[int] = []

    def work(number: int) -> int:
        if number == 3:
            raise Denied("no")
        return number

    with pytest.raises(Denied):
        done.extend(in_parallel(range(1000), work, workers=4))
    # extend takes nothing back: what came before the error is there
    assert {0, 1, 2} <= set(done)
    assert len(done) < 1000


def test_the_ledger_translates_what_sqlite_says(tmp_path: Path) -> None:
    state = StateDirectory(tmp_path)
    for error, expected in (
        (sqlite3.OperationalError("database or disk is full"), NoSpace),
        (sqlite3.OperationalError("disk I/O error"), Denied),
        (sqlite3.DatabaseError("database disk image is malformed"), NodeTrouble),
    ):
        with pytest.raises(expected) as caught, open_ledger(state, "bucket", ""):
            raise error
        assert isinstance(caught.value, BackupError)
        assert caught.value.hint
    assert any(tmp_path.iterdir())
