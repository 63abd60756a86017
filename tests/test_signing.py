"""Key files: who may read them, what is in them, and that a key is never shown."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from backupstore.errors import Misconfigured
from backupstore.signing import public_keys_of, read_public_keys, read_signer, signer_of, write_pair
from tests.operations.jobs import KEY, PUBLIC


def test_a_pair_that_was_made_signs_and_checks(tmp_path: Path) -> None:
    private, public = write_pair(tmp_path)
    signer, keys = read_signer(private), read_public_keys(public)
    signature = signer.sign(b"stop")
    assert keys[signer.key_id](signature, b"stop")
    assert not keys[signer.key_id](signature, b"stop ")
    assert not keys[signer.key_id](signature[:-1] + b"\0", b"stop")
    assert private.stat().st_mode & 0o777 == 0o600
    assert private.read_text().split()[1] not in repr(signer)


def test_two_pairs_are_believed_while_keys_are_exchanged(tmp_path: Path) -> None:
    signers, lines = [], ["# old and new", ""]
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        private, public = write_pair(tmp_path / name)
        signers.append(read_signer(private))
        lines.append(public.read_text())
    keys = public_keys_of("\n".join(lines), "keys")
    assert set(keys) == {signer.key_id for signer in signers}
    assert not keys[signers[0].key_id](signers[1].sign(b"x"), b"x")


def test_a_private_key_among_the_public_ones_is_recognized_and_not_shown(tmp_path: Path) -> None:
    private, public = write_pair(tmp_path)
    with pytest.raises(Misconfigured, match="line 2: this is the private key") as caught:
        public_keys_of(public.read_text() + private.read_text(), "keys")
    assert "Make new keys" in caught.value.hint
    assert private.read_text().split()[1] not in f"{caught.value} {caught.value.hint}"


def test_no_key_is_written_over(tmp_path: Path) -> None:
    private, _ = write_pair(tmp_path)
    before = private.read_bytes()
    with pytest.raises(Misconfigured, match=r"signing\.key"):
        write_pair(tmp_path)
    assert private.read_bytes() == before


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_private_key_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    private, _ = write_pair(tmp_path)
    private.chmod(mode)
    with pytest.raises(Misconfigured, match="others may read") as caught:
        read_signer(private)
    assert "chmod 0600" in caught.value.hint
    assert "new keys" in caught.value.hint


@pytest.mark.parametrize("mode", [0o664, 0o646])
def test_public_keys_that_others_may_change_are_refused(tmp_path: Path, mode: int) -> None:
    _, public = write_pair(tmp_path)
    public.chmod(mode)
    with pytest.raises(Misconfigured, match="others may change") as caught:
        read_public_keys(public)
    assert "chmod 0644" in caught.value.hint


def test_a_key_file_of_somebody_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    private, public = write_pair(tmp_path)
    if os.geteuid() == 0:  # only root may give a file away
        for path in (private, public):
            os.chown(path, 12345, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(Misconfigured, match="owner"):
        read_signer(private)
    with pytest.raises(Misconfigured, match="owner"):
        read_public_keys(public)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    for read in (read_signer, read_public_keys):
        with pytest.raises(Misconfigured, match="No such file") as caught:
            read(tmp_path / "none")
        assert "generate-keys" in caught.value.hint


@pytest.mark.parametrize("text", ["", "k1", "k1 AAAA", KEY + "\n" + KEY, KEY.replace("=", "")])
def test_what_is_no_private_key_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(Misconfigured, match="does not hold a private key") as caught:
        signer_of(text, "COMMAND_KEY")
    assert "COMMAND_KEY" in str(caught.value)
    assert KEY.split()[1][:10] not in caught.value.explained


@pytest.mark.parametrize("text", ["", "# none", "k1 AAAA", f"{PUBLIC}\n{PUBLIC}", f"{PUBLIC}\nk2"])
def test_public_keys_are_all_good_or_none_is_believed(text: str) -> None:
    with pytest.raises(Misconfigured, match="keys"):
        public_keys_of(text, "keys")
