"""``generate-keys``: a pair that fits, each half in a file for the right eyes, and never over another one."""

from __future__ import annotations

import stat
from pathlib import Path

from backupstore.signing import read_public_keys, read_signer
from tests.shipper.cli.program import Program


def test_the_halves_fit_and_only_one_is_secret(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "keys"
    done = Program(tmp_path).run("generate-keys", str(folder))
    assert (done.code, done.err) == (0, "")
    private, public = folder / "signing.key", folder / "command-keys"
    assert [stat.S_IMODE(path.stat().st_mode) for path in (folder, private, public)] == [0o700, 0o600, 0o644]
    signer, keys = read_signer(private), read_public_keys(public)
    assert keys[signer.key_id](signer.sign(b"stop"), b"stop")
    assert not keys[signer.key_id](signer.sign(b"stop"), b"start")
    assert f"signing_key_file = /etc/medusa/{private.name}" in done.out
    assert f"command_keys_file = /etc/medusa/{public.name}" in done.out
    assert private.read_text().split()[1] not in done.out


def test_a_key_is_never_written_over(tmp_path: Path) -> None:
    program = Program(tmp_path)
    assert program.run("generate-keys", str(tmp_path)).code == 0
    before = (tmp_path / "signing.key").read_bytes()
    again = program.run("generate-keys", str(tmp_path))
    assert (again.code, "would be written over" in again.err) == (2, True)
    assert (tmp_path / "signing.key").read_bytes() == before


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    done = Program(tmp_path).run("generate-keys", str(tmp_path / "file" / "keys"))
    assert done.code == 2
    assert "Not a directory" in done.err
