"""A directory bucket that is not there, not writable or full; sources that break; files that killed writers left."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backupstore.errors import BackupError, Conflict, Corrupt, Denied, NoSpace, NotFound, Refused, Retryable
from backupstore.stores.local import LocalStore
from backupstore.stores.local_errors import translate
from tests.conformance.local_bucket import files, race, unfinished
from tests.conformance.samples import MIB, BrokenSourceError, Pattern, keys_below, whole


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return tmp_path / "bucket"


@pytest.fixture
def store(base: Path) -> LocalStore:
    return LocalStore(base)


def test_the_first_write_makes_the_bucket(base: Path, store: LocalStore) -> None:
    assert not base.exists()
    for read in (store.read, store.head):
        with pytest.raises(NotFound, match=r"bucket directory .* does not exist"):
            read("a")
    with pytest.raises(NotFound, match="does not exist"):
        next(store.list(""))
    with pytest.raises(NotFound, match="does not exist"):
        store.entries("")
    with pytest.raises(NotFound, match="does not exist"):
        store.delete(["a"])
    assert not base.exists()
    store.create("a", b"")
    assert keys_below(store, "") == ["a"]


def test_a_missing_mount_is_not_filled(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "mnt/nfs" / "bucket")
    calls: list[Callable[[], object]] = [
        lambda: store.create("a", b""),
        lambda: store.put("a", b""),
        lambda: store.upload("a", whole(1)),
    ]
    for call in calls:
        with pytest.raises(NotFound) as caught:
            call()
        assert "mounted" in caught.value.hint
    assert not (tmp_path / "mnt").exists()


@pytest.fixture
def closed_bucket() -> Iterator[Path]:
    """A bucket that everybody may read and nobody may write; below /tmp, because nobody has to reach it."""
    with tempfile.TemporaryDirectory() as folder:
        bucket = Path(folder) / "bucket"
        bucket.mkdir()
        (bucket / "there").write_bytes(b"body")
        (bucket / "secret").write_bytes(b"body")
        (bucket / "secret").chmod(0)
        (bucket / "private").mkdir(mode=0)
        Path(folder).chmod(0o755)
        bucket.chmod(0o555)
        yield bucket
        bucket.chmod(0o755)
        (bucket / "private").chmod(0o755)


@pytest.mark.parametrize("verb", ["create", "put", "delete", "secret", "list", "private/a"])
def test_what_the_system_forbids_is_denied(closed_bucket: Path, verb: str) -> None:
    (answer,) = race(closed_bucket, "unprivileged", [verb])
    assert answer.startswith("Denied:")
    assert "Permission denied" in answer


def test_a_bucket_that_is_only_readable_can_be_read(closed_bucket: Path) -> None:
    assert race(closed_bucket, "unprivileged", ["there"]) == ["b'body'"]
    assert files(closed_bucket) == {"there", "secret"}


def test_what_does_not_fit_leaves_nothing(base: Path, store: LocalStore) -> None:
    (answer,) = race(base, "limited", [str(2 * MIB + 1)])
    assert answer.startswith("NoSpace:")
    assert files(base) == set()
    store.create("big", b"")


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOSPC, NoSpace),
        (errno.EDQUOT, NoSpace),
        (errno.EFBIG, NoSpace),
        (errno.EACCES, Denied),
        (errno.EPERM, Denied),
        (errno.EROFS, Denied),
        (errno.ENOLCK, Refused),
        (errno.ENOTDIR, Refused),
        (errno.EXDEV, Refused),
        (errno.ENAMETOOLONG, Refused),
        (errno.ESTALE, Retryable),
        (errno.EIO, Retryable),
        (errno.ENOENT, Retryable),
        (None, Retryable),
    ],
)
def test_errors_of_the_system_say_what_to_do(base: Path, number: int | None, kind: type[BackupError]) -> None:
    error = OSError(number, "reason") if number else OSError("reason")
    translated = translate(error, "upload", "n1/a", base)
    assert type(translated) is kind
    assert str(translated) == "upload n1/a: reason"
    assert (translated.operation, translated.key) == ("upload", "n1/a")
    assert translated.hint
    assert "{" not in translated.hint


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "of the source"), PermissionError(errno.EACCES, "of the source")]
)
def test_an_error_of_the_source_is_not_taken_for_one_of_the_bucket(
    base: Path, store: LocalStore, error: OSError
) -> None:
    class Broken(Pattern):
        def chunks(self) -> Iterator[bytes]:
            yield b"x"
            raise error

    with pytest.raises(OSError, match="of the source") as caught:
        store.upload("a", Broken(2, 2))
    assert caught.value is error
    assert files(base) == set()


def test_an_interrupted_upload_leaves_nothing(base: Path, store: LocalStore) -> None:
    class Interrupted(Pattern):
        def chunks(self) -> Iterator[bytes]:
            yield b"x"
            assert len(unfinished(base)) == 1
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.upload("a", Interrupted(2, 2))
    with pytest.raises(BrokenSourceError):
        store.upload("a", Pattern(2, 2, breaks=True))
    assert files(base) == set()


CALLS: list[Callable[[LocalStore], object]] = [
    lambda store: store.read("a/b/c/d"),
    lambda store: store.head("a/b/c/d"),
    lambda store: list(store.list("a/")),
    lambda store: store.entries("a/"),
    lambda store: store.create("e/f/g", b"x"),
    lambda store: store.delete(["a/b/c/d"]),
]


@pytest.mark.parametrize("call", CALLS)
def test_a_signal_after_a_handle_was_closed_is_not_lost(
    base: Path, store: LocalStore, monkeypatch: pytest.MonkeyPatch, call: Callable[[LocalStore], object]
) -> None:
    """Closed twice, it would be EBADF in the signal's place, or another thread's file that is closed."""
    store.create("a/b/c/d", b"")
    close = os.close
    left = 0

    def closes(handle: int) -> None:
        nonlocal left
        close(handle)
        left -= 1
        if left == 0:
            raise KeyboardInterrupt

    monkeypatch.setattr(os, "close", closes)
    for number in range(1, 5):
        left = number
        with pytest.raises(KeyboardInterrupt):
            call(LocalStore(base))


def test_a_file_that_shrinks_while_it_is_fetched_is_corrupt(base: Path, store: LocalStore) -> None:
    store.upload("a", whole(4 * MIB))
    with pytest.raises(Corrupt):
        store.fetch("a", lambda _: os.truncate(base / "a", 2 * MIB))


def test_no_handle_stays_open(base: Path, store: LocalStore) -> None:
    def handles() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    store.create("a/b/c", b"")
    before = handles()
    for number in range(10):
        store.create(f"{number}/x", b"")
        store.put("document", b"")
        with pytest.raises(Conflict):
            store.create("a/b/c", b"")
        with pytest.raises(Refused):
            store.create("a/b", b"")
        with pytest.raises(NotFound):
            store.read("a/b")
        with pytest.raises(BrokenSourceError):
            store.upload("b", Pattern(2, 2, breaks=True))
        next(store.list(""))
        store.entries("")
        store.delete([f"{number}/x"])
    assert base.is_dir()
    assert handles() == before


def test_what_killed_writers_left_is_swept_by_age(base: Path, store: LocalStore) -> None:
    store.put("document", b"")
    for name, age in (("old.part", 1000.0), ("young.part", 3000.0), ("other", 1000.0)):
        path = base / "index/.incoming" / name
        path.write_bytes(b"half")
        os.utime(path, (age, age))
    locks = {name for name in files(base) if "/lock-" in name}
    assert store.sweep_incoming(older_than=2000.0) == 1
    assert store.sweep_incoming(older_than=2000.0) == 0
    assert files(base) == {"document", "index/.incoming/young.part", "index/.incoming/other", *locks}
    assert store.sweep_incoming(older_than=1e12) == 1
    assert locks <= files(base)


def test_sweeping_a_bucket_that_nobody_wrote_to(base: Path, store: LocalStore) -> None:
    base.mkdir()
    assert store.sweep_incoming(older_than=1e12) == 0


def test_a_writer_whose_unfinished_file_is_swept_says_so(base: Path, store: LocalStore) -> None:
    class Swept(Pattern):
        def chunks(self) -> Iterator[bytes]:
            yield b"x"
            store.sweep_incoming(older_than=1e12)

    with pytest.raises(Retryable):
        store.upload("a", Swept(1, 1))
    assert keys_below(store, "") == []
    assert not unfinished(base)
