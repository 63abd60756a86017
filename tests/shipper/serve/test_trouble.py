"""``serve`` when the ground gives way: mounts that go, limits of the kernel, documents that cannot be read."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.shipper.cli.handmade import Made
from tests.shipper.cli.program import Program, Running, until
from tests.shipper.serve.served import states

SLOW = ("reconcile_interval = 3600",)
LOOKING = ("watch = poll", "poll_interval = 1", *SLOW)


def until_listed(program: Program, backup: str, server: Running) -> None:
    until(lambda: states(program).get(backup) == "complete", 30, server.log.read_text)


@pytest.mark.parametrize("shipper", [SLOW, LOOKING])
def test_a_bucket_that_goes_and_comes_back(program: Program, shipper: tuple[str, ...]) -> None:
    served = Program(program.directory, shipper=shipper)
    served.maker().ship("b1")
    with served.running("serve") as server:
        server.until_said("repaired")
        aside = served.directory / "aside"
        served.bucket.rename(aside)
        server.until_said("Is it mounted?")
        assert not served.bucket.exists(), "nothing is made below a mount that is not there"
        aside.rename(served.bucket)
        server.until_said("it works again")
        served.maker().ship("b2")
        until_listed(served, "b2", server)
        assert server.log.read_text().count("Is it mounted?") == 1, "said once"
        assert server.process.poll() is None


def test_a_bucket_that_is_made_later(tmp_path: Path) -> None:
    program = Program(tmp_path, shipper=SLOW)
    with program.running("serve") as server:
        server.until_said("does not exist")
        assert not program.bucket.exists(), "it may be a mount that is not there yet"
        program.bucket.mkdir()
        program.maker().ship("b1")
        until_listed(program, "b1", server)


@pytest.mark.parametrize("shipper", [SLOW, LOOKING])
def test_an_empty_directory_in_its_place_is_a_mount_point(program: Program, shipper: tuple[str, ...]) -> None:
    served = Program(program.directory, shipper=shipper)
    served.maker().ship("b1")
    with served.running("serve") as server:
        server.until_said("repaired")
        aside, below = served.directory / "aside", served.directory / "below"
        below.mkdir()
        served.bucket.rename(aside)
        below.rename(served.bucket)
        server.until_said("Is it mounted?")
        assert not any(served.bucket.iterdir()), "nothing is written below a mount point"
        served.bucket.rename(below)
        aside.rename(served.bucket)
        server.until_said("it works again")
        served.maker().ship("b2")
        until_listed(served, "b2", server)


def test_one_bad_document_does_not_stop_the_others(program: Program) -> None:
    served = Program(program.directory, shipper=SLOW)
    served.maker().ship("b1", Made(end="data"))
    assert served.run("build-index").code == 0
    (served.bucket / "index/catalog/backups/b1.json").write_text("{")
    with served.running("serve") as server:
        server.until_said("b1.json cannot be read")
        served.maker().finish("b1", Made())
        served.maker("east").ship("b1")
        served.maker().ship("b2")
        until_listed(served, "b2", server)
        until(lambda: states(served, "east").get("b1") == "complete")
        assert server.process.poll() is None
        assert served.run("build-index").code == 0
        until_listed(served, "b1", server)


@contextmanager
def limited(program: Program) -> Iterator[Running]:
    """``serve`` with at most 20 watches, in a user namespace of its own: the limit is one of the whole user elsewhere."""
    limit = 'echo 20 > /proc/sys/user/max_inotify_watches && exec "$@"'
    log = program.directory / "limited.log"
    with log.open("wb") as err:
        process = subprocess.Popen(["unshare", "-Ur", "sh", "-c", limit, "sh", *program.command("serve")], stderr=err)
        try:
            yield Running(process, log)
        finally:
            process.kill()
            process.wait()


@pytest.fixture
def looking(program: Program) -> Program:
    """Looks every second, where it has to."""
    if subprocess.run(["unshare", "-Ur", "true"], check=False, capture_output=True).returncode:
        pytest.fail(
            "user namespaces are not allowed here (sysctl kernel.unprivileged_userns_clone): a limit is set in one"
        )
    return Program(program.directory, shipper=("poll_interval = 1", *SLOW))


def test_when_the_kernel_gives_no_watches_it_looks(looking: Program) -> None:
    for number in range(30):
        looking.maker().ship(f"a{number}")
    with limited(looking) as server:
        server.until_said("looking every 1 seconds from now on")
        assert server.said("max_user_watches")
        looking.maker().ship("b1")
        until_listed(looking, "b1", server)
        assert not server.said("Traceback")
        server.process.terminate()
        assert server.process.wait(10) == 0


def test_when_the_watches_are_used_up_later_it_looks(looking: Program) -> None:
    looking.maker().ship("b1")
    with limited(looking) as server:
        until_listed(looking, "b1", server)
        assert not server.said("from now on")
        for number in range(20):
            looking.maker().ship(f"c{number}")
        server.until_said("looking every 1 seconds from now on")
        for number in range(20):
            until_listed(looking, f"c{number}", server)
