"""The journal of an open restore: whole or absent, and never guessed at."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from backupstore.errors import Corrupt, Denied, Refused
from shipper.restore import journal as journals
from shipper.restore.journal import Journal, Phase
from shipper.restore.places import Place
from shipper.state import StateDirectory
from shipper.transfer.download import Owner

JOURNAL = Journal(
    phase="fetching",
    backup="b1",
    node="n1",
    bucket="bucket",
    host_id=None,
    places=(Place(Path("/data/with blank"), Path("/data/.work"), holds_data=True, owner=Owner(1, 2)),),
    was_up=True,
    boot_id="boot",
    quiet_peers=("10.0.0.2",),
    files=3,
    size=4,
)


@pytest.fixture
def state(tmp_path: Path) -> StateDirectory:
    return StateDirectory(tmp_path)


@pytest.mark.parametrize("phase", get_args(Phase))
def test_what_is_written_is_read(state: StateDirectory, phase: Phase) -> None:
    assert journals.load(state) is None
    journals.save(state, JOURNAL.at(phase))
    assert journals.load(state) == JOURNAL.at(phase)
    journals.close(state, JOURNAL)
    assert journals.load(state) is None
    journals.close(state, JOURNAL)


def test_a_half_written_one_does_not_count(state: StateDirectory) -> None:
    journals.save(state, JOURNAL)
    (state.path / "restore.json.new").write_text("{")
    assert journals.load(state) == JOURNAL


@pytest.mark.parametrize("body", ["", "{}", "null", '{"phase": "dancing"}', "\0" * 500])
def test_what_cannot_be_read_is_an_error_that_says_where_the_data_is(state: StateDirectory, body: str) -> None:
    state.journal.write_text(body)
    with pytest.raises(Corrupt) as caught:
        journals.load(state)
    assert "Do not start Cassandra" in caught.value.hint
    assert "aside" in caught.value.hint


def test_fields_of_a_newer_version_are_not_guessed_at(state: StateDirectory) -> None:
    journals.save(state, JOURNAL)
    state.journal.write_text(state.journal.read_text().replace('"phase"', '"epoch": 2, "phase"'))
    with pytest.raises(Corrupt):
        journals.load(state)


def test_one_that_may_not_be_read(state: StateDirectory) -> None:
    state.journal.mkdir()
    with pytest.raises(Denied):
        journals.load(state)


@pytest.mark.parametrize("phase", get_args(Phase))
def test_only_what_has_not_touched_the_node_lets_backups_run(state: StateDirectory, phase: Phase) -> None:
    journals.check_untouched(state)
    journals.save(state, JOURNAL.at(phase))
    if phase in {"fetching", "prepared"}:
        journals.check_untouched(state)
    else:
        with pytest.raises(Refused, match="to b1 is not over"):
            journals.check_untouched(state)


@pytest.mark.parametrize("phase", get_args(Phase))
def test_a_part_of_a_job_never_lets_backups_run(state: StateDirectory, phase: Phase) -> None:
    journals.save(state, JOURNAL.model_copy(update={"job": "restore-1", "phase": phase}))
    with pytest.raises(Refused, match=r"to b1, a part of restore-1, is not over") as caught:
        journals.check_untouched(state)
    assert "restore-rollback restore-1" in caught.value.hint


def test_how_the_last_job_ended_is_remembered(state: StateDirectory) -> None:
    part = JOURNAL.model_copy(update={"job": "restore-1"})
    assert journals.ended(state, "restore-1") is None
    journals.close(state, part.at("committed"))
    assert (journals.ended(state, "restore-1"), journals.ended(state, "restore-2")) == ("committed", None)
    journals.close(state, JOURNAL.at("restarting"))
    assert journals.ended(state, "restore-1") == "committed"
    journals.close(state, part.at("restarting"))
    assert journals.ended(state, "restore-1") == "rolled-back"
