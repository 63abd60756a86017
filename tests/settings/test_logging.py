"""The log file: what gets there, how it is rotated, by several processes too, and that it never stops the work."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from backupstore.errors import Misconfigured
from backupstore.settings import load
from tests.settings.shown import ini, shows
from tests.shipper.cli.program import Program, until

ROOT = Path(__file__).resolve().parents[2]
UNKNOWN = ("status", "--backup-name", "b1")


def logging_program(folder: Path, **logging: object) -> Program:
    """The program with these options of ``[logging]``, and a bucket."""
    (folder / "bucket").mkdir(exist_ok=True)
    given = {"enabled": "1", "file": folder / "medusa.log", **logging}
    return Program(folder, environment={f"MEDUSA_LOGGING_{key.upper()}": str(value) for key, value in given.items()})


def lines(folder: Path) -> list[str]:
    return (folder / "medusa.log").read_text(encoding="utf-8").splitlines()


@shows("logging.enabled", "logging.file")
def test_what_stderr_says_is_in_the_file_too(tmp_path: Path) -> None:
    done = logging_program(tmp_path).run(*UNKNOWN)
    logged = lines(tmp_path)
    assert re.fullmatch(r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}\] ERROR: There is no backup b1\.", logged[-2])
    assert logged[-1] == "  → list-backups --show-all shows what there is."
    assert "ERROR: There is no backup b1." in done.err
    assert done.code == 1


@shows("logging.enabled")
def test_without_it_there_is_no_file(tmp_path: Path) -> None:
    logging_program(tmp_path, enabled="0").run(*UNKNOWN)
    assert not (tmp_path / "medusa.log").exists()


@shows("logging.level")
@pytest.mark.parametrize(
    ("level", "arguments", "wanted", "unwanted"),
    [
        ("DEBUG", (), "DEBUG", "none"),
        ("NOTSET", (), "DEBUG", "none"),
        ("INFO", ("-v",), "ERROR", "DEBUG"),
        ("critical", (), "", "ERROR"),
    ],
)
def test_the_level_is_that_of_the_file_alone(
    tmp_path: Path, level: str, arguments: tuple[str, ...], wanted: str, unwanted: str
) -> None:
    done = logging_program(tmp_path, level=level).run(*arguments, *UNKNOWN)
    file = tmp_path / "medusa.log"
    text = file.read_text() if file.exists() else ""
    assert wanted in text
    assert unwanted not in text
    assert ("DEBUG" in done.err) == ("-v" in arguments)


@shows("logging.format")
def test_lines_have_the_format(tmp_path: Path) -> None:
    logging_program(tmp_path, format="%(name)s|%(levelname)s|%(message)s").run(*UNKNOWN)
    assert "medusa-shipper|ERROR|There is no backup b1." in lines(tmp_path)


def test_json_on_stderr_leaves_the_file_as_it_is(tmp_path: Path) -> None:
    program = logging_program(tmp_path, format="%(message)s")
    done = Program(tmp_path, shipper=("log_format = json",), environment=program.environment).run(*UNKNOWN)
    assert all(json.loads(line) for line in done.err.splitlines())
    assert "There is no backup b1." in lines(tmp_path)


@pytest.mark.parametrize("text", ["%(nonsense)s", "%(message)d", "plain", "%"])
def test_a_format_that_fails_with_the_first_line_is_refused_before(tmp_path: Path, text: str) -> None:
    with pytest.raises(Misconfigured, match=r"\[logging\] format"):
        load(ini(tmp_path, logging={"format": text}), {})


def test_a_relative_file_is_warned_about(tmp_path: Path) -> None:
    (warning,) = load(ini(tmp_path, logging={"enabled": "1", "file": "medusa.log"}), {}).warnings
    assert "the directory the program is started in" in warning
    assert load(ini(tmp_path, logging={"enabled": "0", "file": "medusa.log"}), {}).warnings == ()


# --- rotation ---

WRITER = """
import logging, sys
from pathlib import Path
from backupstore.settings import LoggingSettings
from shipper.cli.logfile import LogFile
path, most, kept, name, count = sys.argv[1:]
log = logging.getLogger("test")
log.propagate = False
log.addHandler(LogFile(LoggingSettings(enabled=True, file=Path(path), maxbytes=int(most), backupcount=int(kept)), log))
log.handlers[0].setFormatter(logging.Formatter("%(message)s"))
print("ready", flush=True)
sys.stdin.readline()
for number in range(int(count)):
    log.warning("%s-%04d", name, number)
"""


def writers(folder: Path, names: str, *, most: int, kept: int, count: int) -> None:
    """So many processes at once, each writing so many lines of seven bytes."""
    arguments = [sys.executable, "-c", WRITER, str(folder / "medusa.log"), str(most), str(kept)]
    pipe = subprocess.PIPE
    running = [subprocess.Popen([*arguments, name, str(count)], cwd=ROOT, stdin=pipe, stdout=pipe) for name in names]
    for process in running:
        assert process.stdout
        assert process.stdout.readline() == b"ready\n"
    for process in running:  # now that all of them are there
        assert process.stdin
        process.stdin.write(b"go\n")
        process.stdin.flush()
    for process in running:
        process.communicate()
    assert [process.returncode for process in running] == [0] * len(names)


def files(folder: Path) -> list[Path]:
    """The log files, the newest first."""
    old = sorted(folder.glob("medusa.log.*"), key=lambda path: int(path.suffix[1:]))
    return [folder / "medusa.log", *old]


@shows("logging.maxbytes", "logging.backupcount")
def test_a_full_file_makes_room_and_the_oldest_go(tmp_path: Path) -> None:
    writers(tmp_path, "a", most=7 * 10 + 1, kept=2, count=35)
    assert [file.name for file in files(tmp_path)] == ["medusa.log", "medusa.log.1", "medusa.log.2"]
    texts = [file.read_text().split() for file in files(tmp_path)]
    assert texts == [[f"a-{number:04d}" for number in part] for part in (range(30, 35), range(20, 30), range(10, 20))]


@pytest.mark.parametrize(("most", "kept"), [(0, 5), (100, 0)])
def test_without_size_or_number_it_grows(tmp_path: Path, most: int, kept: int) -> None:
    writers(tmp_path, "a", most=most, kept=kept, count=50)
    assert len(files(tmp_path)) == 1
    assert len(lines(tmp_path)) == 50


def test_several_processes_rotate_one_file_and_lose_nothing(tmp_path: Path) -> None:
    writers(tmp_path, "abcd", most=701, kept=1000, count=1000)
    found = [line for file in files(tmp_path) for line in file.read_text().split()]
    assert sorted(found) == [f"{name}-{number:04d}" for name in "abcd" for number in range(1000)]
    assert {len(file.read_bytes()) for file in files(tmp_path)[1:]} == {700}, "each was full when it made room"


def test_a_line_larger_than_the_file_may_be_is_written_all_the_same(tmp_path: Path) -> None:
    writers(tmp_path, "a", most=3, kept=2, count=5)
    assert [file.read_text() for file in files(tmp_path)] == ["a-0004\n", "a-0003\n", "a-0002\n"]


def test_a_file_that_was_moved_away_is_begun_anew(tmp_path: Path) -> None:
    """As logrotate does it, while ``serve`` runs."""
    program = logging_program(tmp_path)
    with program.running("serve") as server:
        server.until_said("serving")
        until(lambda: any("serving" in line for line in lines(tmp_path)))
        (tmp_path / "medusa.log").rename(tmp_path / "moved")
        server.process.terminate()
        server.process.wait()
    assert "serving" in (tmp_path / "moved").read_text()
    assert lines(tmp_path), "it says that it ends"


# --- nothing fails because of it ---


@pytest.mark.parametrize("file", ["absent/medusa.log", "bucket", "ini/medusa.log"])
def test_a_file_that_cannot_be_written_is_said_once_and_the_work_goes_on(tmp_path: Path, file: str) -> None:
    (tmp_path / "ini").write_text("no directory")
    done = logging_program(tmp_path, file=tmp_path / file).run("-v", "list-backups", "--show-all")
    assert done.code == 0
    assert done.err.count("WARNING: no log file: ") == 1
    assert "'file' in the [logging] section" in done.err


def test_a_full_disk_is_no_reason_to_stop(tmp_path: Path) -> None:
    done = logging_program(tmp_path, file="/dev/full").run("-v", "list-backups", "--show-all")
    assert done.code == 0
    assert "no log file: /dev/full: No space left on device" in done.err


def test_a_link_that_leads_nowhere_yet_is_followed(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "target")
    logging_program(tmp_path, file=tmp_path / "link").run(*UNKNOWN)
    assert "There is no backup b1." in (tmp_path / "target").read_text()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_root_makes_belongs_to_those_who_must_write_to_it(tmp_path: Path) -> None:
    os.chown(tmp_path, 4321, 4321)
    writers(tmp_path, "a", most=71, kept=2, count=5)
    assert (tmp_path / "medusa.log").stat().st_uid == 4321
    os.chown(tmp_path / "medusa.log", 1234, 1234)
    writers(tmp_path, "a", most=71, kept=2, count=10)
    assert (tmp_path / "medusa.log").stat().st_uid == 1234, "as the one before"
