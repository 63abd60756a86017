"""The key files of cluster jobs: what is wrong with them is told before anybody signs or obeys."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.played_nodes import Pair, pair
from tests.shipper.cli.program import Program
from tests.shipper.doctor.asked import ask

NODE, COORDINATOR = "settings/command-keys", "settings/signing-key"


@pytest.fixture
def keys(tmp_path: Path) -> Pair:
    return pair(tmp_path / "keys")


def program(folder: Path, *, believed: Path | None = None, signing: Path | None = None) -> Program:
    lines = {"command_keys_file": believed, "signing_key_file": signing}
    made = Program(folder, shipper=tuple(f"{name} = {path}" for name, path in lines.items() if path))
    made.bucket.mkdir(exist_ok=True)
    return made


def test_where_there_are_none_that_is_said(tmp_path: Path) -> None:
    found = ask(program(tmp_path), "settings")
    assert found.of(NODE) == [("ok", "no command_keys_file: this node obeys no coordinator")]
    assert [status for status, _ in found.of(COORDINATOR)] == ["ok"]


def test_good_ones_are_named_by_their_ids_and_never_shown(tmp_path: Path, keys: Pair) -> None:
    found = ask(program(tmp_path, believed=keys.public, signing=keys.private), "settings")
    for check in (NODE, COORDINATOR):
        ((status, seen),) = found.of(check)
        assert (status, keys.signer.key_id in seen) == ("ok", True)
    assert keys.secret not in str(found.findings)


def test_a_coordinator_beside_a_node_that_does_not_believe_it(tmp_path: Path, keys: Pair) -> None:
    other = pair(tmp_path / "other")
    found = ask(program(tmp_path, believed=other.public, signing=keys.private), "settings")
    assert found.status(NODE) == {"ok"}
    assert found.status(COORDINATOR) == {"warn"}
    assert f"what {keys.signer.key_id} signs is not obeyed here" in found.said("warn")


def test_a_key_under_the_id_of_another_is_none(tmp_path: Path, keys: Pair) -> None:
    other = pair(tmp_path / "other")
    text = other.public.read_text(encoding="ascii").split()[1]
    keys.public.write_text(f"{keys.signer.key_id} {text}\n", encoding="ascii")
    found = ask(program(tmp_path, believed=keys.public, signing=keys.private), "settings")
    assert found.status(COORDINATOR) == {"warn"}


def test_what_agent_and_coordinator_would_refuse(tmp_path: Path, keys: Pair) -> None:
    keys.private.chmod(0o644)
    keys.public.chmod(0o666)
    found = ask(program(tmp_path, believed=keys.public, signing=keys.private), "settings")
    assert (found.status(NODE), found.status(COORDINATOR)) == ({"fail"}, {"fail"})
    assert f"others may change {keys.public}" in found.said("fail")
    assert f"others may read {keys.private}" in found.said("fail")
    assert "chmod 0600" in found.said("fail")


def test_files_that_are_not_there_and_the_wrong_half_on_a_node(tmp_path: Path, keys: Pair) -> None:
    found = ask(program(tmp_path, believed=keys.private, signing=tmp_path / "none"), "settings")
    assert "this is the private key" in found.of(NODE)[0][1]
    assert "No such file" in found.of(COORDINATOR)[0][1]
    assert keys.secret not in str(found.findings)
