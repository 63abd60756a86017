"""The state directory, which two users share: root, who restores, and Cassandra's user, who backs up."""

from __future__ import annotations

import os
from pathlib import Path

from shipper.state import StateDirectory


def test_what_root_makes_belongs_to_the_owner_of_the_data(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    # Who is not root can only own all of it, and the same must hold.
    owner = 65534 if os.geteuid() == 0 else os.geteuid()
    os.chown(data, owner, -1)
    state = StateDirectory(tmp_path / "made" / "state", beside=data)
    with state.locked("restore"):
        state.write("identity", {"host_id": "x"})
    made = [state.path, *state.path.iterdir()]
    assert {path.name for path in made} == {"state", "lock", "identity.json"}
    assert {path.stat().st_uid for path in made} == {owner}
    assert state.path.stat().st_mode & 0o777 == 0o700


def test_a_directory_that_is_there_keeps_its_owner(tmp_path: Path) -> None:
    data, place = tmp_path / "data", tmp_path / "state"
    data.mkdir()
    place.mkdir()
    os.chown(data, 65534 if os.geteuid() == 0 else os.geteuid(), -1)
    with StateDirectory(place, beside=data).locked("restore"):
        assert place.stat().st_uid == os.geteuid()
