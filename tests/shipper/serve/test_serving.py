"""``serve`` as a process beside a bucket in which things happen."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from tests.shipper.cli.handmade import Made
from tests.shipper.cli.program import Program, tree, until
from tests.shipper.serve.served import index_of, states, write_row

READY = "serving "
# What is verified beside it is looked at in test_verifying.
SLOW = ("reconcile_interval = 3600", "verify_interval = 0")


@pytest.fixture
def slow(program: Program) -> Program:
    """Events must do, for reconcile does not come to help."""
    return Program(program.directory, shipper=SLOW)


def until_listed(program: Program, state: str, backup: str = "b1", prefix: str = "", seconds: float = 30) -> None:
    until(lambda: states(program, prefix).get(backup) == state, seconds, lambda: str(states(program, prefix)))


def test_what_was_there_before_is_listed(slow: Program) -> None:
    slow.maker().ship("b1")
    with slow.running("serve"):
        until_listed(slow, "complete")


def test_a_backup_is_listed_as_it_goes_on(slow: Program) -> None:
    with slow.running("serve") as server:
        until_listed_nothing_yet(slow)
        slow.maker().begin("b1", Made())
        until_listed(slow, "incomplete")
        slow.maker().finish("b1", Made())
        until_listed(slow, "complete")
        assert (slow.bucket / "index/backup_index/b1/tokenmap_n1.json").exists()
        until((slow.bucket / "index/latest_backup/n1/backup_name.txt").exists)
        server.until_said("indexed b1 of n1")


def until_listed_nothing_yet(program: Program) -> None:
    """Until it has looked at all: from now on, only events tell it anything."""
    until((program.bucket / "index/catalog/head.json").exists)
    until((program.bucket / "index/backup_index").exists)


def test_stocks_backup_is_seen_by_its_index(slow: Program) -> None:
    with slow.running("serve"):
        until_listed_nothing_yet(slow)
        slow.maker().ship("b1", Made(by_stock=True))
        write_row(slow, "b1")
        until_listed(slow, "complete")


def test_a_new_cluster_appears(slow: Program) -> None:
    with slow.running("serve"):
        until_listed_nothing_yet(slow)
        slow.maker("east").ship("b1")
        until_listed(slow, "complete", prefix="east")
        slow.maker("east").ship("s1", Made(by_stock=True))
        write_row(slow, "s1", prefix="east")
        until_listed(slow, "complete", "s1", prefix="east")


def test_a_new_cluster_of_stocks_appears_with_the_next_reconcile(program: Program) -> None:
    quick = Program(program.directory, shipper=("reconcile_interval = 1",))
    with quick.running("serve"):
        until_listed_nothing_yet(quick)
        quick.maker("west").ship("b1", Made(by_stock=True))
        until_listed(quick, "complete", prefix="west")


def test_one_cluster_only(slow: Program) -> None:
    with slow.running("--prefix", "east", "serve") as server:
        server.until_said("prefix east")
        until((slow.bucket / "east/index/catalog/head.json").exists)
        slow.maker("west").ship("b1")
        slow.maker("east").ship("b1")
        until_listed(slow, "complete", prefix="east")
        assert not (slow.bucket / "west/index").exists()


def test_many_backups_at_once_are_one_run(slow: Program) -> None:
    with slow.running("serve") as server:
        until_listed_nothing_yet(slow)
        ring = {f"n{number}": "dc1" for number in range(30)}
        for node in ring:
            slow.maker().ship("b1", Made(node, ring=ring))
        until_listed(slow, "complete")
        until(lambda: slow.run("status", "--backup-name", "b1").out.startswith("b1\n"))
        assert server.log.read_text().count("indexed") < 30, "events that come together are handled together"


def test_looking_where_events_tell_nothing(program: Program) -> None:
    looking = Program(program.directory, shipper=("watch = poll", "poll_interval = 1", *SLOW))
    looking.maker().ship("b0")
    with looking.running("serve") as server:
        server.until_said("looking every 1 seconds")
        until_listed(looking, "complete", "b0")
        looking.maker().ship("b1")
        until_listed(looking, "complete")
        looking.maker("east").ship("b1")
        until_listed(looking, "complete", prefix="east")


def test_reconcile_finds_what_no_event_told(program: Program) -> None:
    quick = Program(program.directory, shipper=("reconcile_interval = 1",))
    with quick.running("serve") as server:
        until_listed_nothing_yet(quick)
        quick.maker().ship("b1", Made(by_stock=True))
        until_listed(quick, "complete")
        server.until_said("reconcile of the cluster repaired")


def test_an_index_that_was_removed_is_made_again(program: Program) -> None:
    program.maker().ship("b1")
    with Program(program.directory, shipper=SLOW).running("serve"):
        until_listed(program, "complete")
        row = program.bucket / "index/backup_index/b1/tokenmap_n1.json"
        until(row.exists)
        folder = program.bucket / "index/backup_index"
        folder.rename(program.directory / "gone")
        until(row.exists)
        # and the folder that was made again is watched again
        program.maker().ship("b2", Made(by_stock=True))
        write_row(program, "b2")
        until_listed(program, "complete", "b2")


def test_two_at_once_come_to_the_same(slow: Program) -> None:
    with slow.running("serve") as one, slow.running("serve") as other:
        until_listed_nothing_yet(slow)
        one.until_said(READY)
        other.until_said(READY)
        ring = {f"n{number}": "dc1" for number in range(5)}
        for backup in ("b1", "b2"):
            for node in ring:
                slow.maker().ship(backup, Made(node, ring=ring))
        for backup in ("b1", "b2"):
            until_listed(slow, "complete", backup)
        # The catalog comes before stock's rows and markers: a server that is ended in between leaves them to the next
        # one. A marker proves no row: whoever settles b1 of a node marks b2 as soon as the other has written its document.
        finished = [f"index/backup_index/{backup}/finished_{node}_*" for backup in ("b1", "b2") for node in ring]
        markers = [slow.bucket / f"index/latest_backup/{node}/backup_name.txt" for node in ring]
        until(lambda: all(any(slow.bucket.glob(row)) for row in finished))
        until(lambda: all(marker.exists() and marker.read_text() == "b2" for marker in markers))
        for server in (one, other):
            server.process.terminate()
            assert server.process.wait(10) == 0
            assert not server.said("ERROR"), server.log.read_text()
    kept = index_of(slow.bucket)
    assert slow.run("build-index").code == 0
    assert index_of(slow.bucket) == kept, "catalog = f(bucket)"


@pytest.mark.parametrize("shipper", [(), ("watch = poll",)])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_well(program: Program, shipper: tuple[str, ...], number: signal.Signals) -> None:
    with Program(program.directory, shipper=shipper).running("serve") as server:
        until((program.bucket / "index/catalog/head.json").exists)
        server.process.send_signal(number)
        assert server.process.wait(10) == 0
        assert server.said("stopped")
        assert not server.said("Traceback")


def test_files_that_killed_writers_left_are_swept_after_a_day(slow: Program) -> None:
    incoming = slow.bucket / "index/.incoming"
    incoming.mkdir(parents=True)
    old, young = incoming / f"{'0' * 32}.part", incoming / f"{'1' * 32}.part"
    for path, age in ((old, 90_000), (young, 80_000)):
        path.write_bytes(b"half")
        os.utime(path, (time.time() - age, time.time() - age))
    done = slow.run("serve", "--once")
    assert (done.code, old.exists(), young.exists()) == (0, False, True)
    assert "removed 1 unfinished files" in done.err


def test_once(program: Program) -> None:
    program.maker().ship("b1")
    program.maker("east").ship("b1")
    done = program.run("serve", "--once")
    assert (done.code, states(program)["b1"], states(program, "east")["b1"]) == (0, "complete", "complete")
    before = {
        key: held for key, held in tree(program.bucket).items() if "catalog" not in key and ".incoming" not in key
    }
    assert program.run("serve", "--once").code == 0
    after = tree(program.bucket)
    assert {key: after[key] for key in before if Path(key).suffix} == {
        k: v for k, v in before.items() if Path(k).suffix
    }


def test_once_with_a_document_that_cannot_be_read(program: Program) -> None:
    program.maker().ship("b1")
    program.maker().ship("b2")
    assert program.run("serve", "--once").code == 0
    (program.bucket / "index/catalog/backups/b1.json").write_text("{")
    done = program.run("serve", "--once")
    assert done.code == 1
    assert "b1.json" in done.err
    assert states(program)["b2"] == "complete"
    assert program.run("build-index").code == 0, "the way out"
    assert program.run("serve", "--once").code == 0
