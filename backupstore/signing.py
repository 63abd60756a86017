"""Ed25519 keys in files: the private one, with which commands are signed, and the public ones, which nodes believe.

A private key is one line, ``<id> <base64 of 32 bytes>``, in a file that only its owner may read, or in a secret store. The
public keys are such lines, one for each key, in a file that only its owner may change; lines that begin with ``#`` are
remarks. More than one is believed while keys are being exchanged. The id is the beginning of the public key's SHA-256.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from backupstore.core.commands import Check
from backupstore.errors import Misconfigured

PRIVATE_FILE = "signing.key"
PUBLIC_FILE = "command-keys"
_LINE = re.compile(r"([A-Za-z0-9][A-Za-z0-9_.-]{0,63})[ \t]+([A-Za-z0-9+/]{43}=)")
_MOST_BYTES = 1 << 16
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Ed25519Signer:
    """A ``ports.Signer``. Never shows its key."""

    key_id: str
    _key: Ed25519PrivateKey

    def sign(self, payload: bytes) -> bytes:
        """The signature, 64 bytes."""
        return self._key.sign(payload)

    def __repr__(self) -> str:
        return f"Ed25519Signer({self.key_id})"


def signer_of(text: str, where: str) -> Ed25519Signer:
    """The signer of a private key's line. Misconfigured, naming ``where`` it came from, and never showing it."""
    match = _LINE.fullmatch(text.strip())
    body = _bytes(match[2]) if match else None
    if match is None or body is None:
        raise _wrong(f"{where} does not hold a private key: one line, '<id> <base64 of 32 bytes>'")
    return Ed25519Signer(match[1], Ed25519PrivateKey.from_private_bytes(body))


def read_signer(path: Path) -> Ed25519Signer:
    """The signer of a key file. Misconfigured when it cannot be read, is none, or others may read it."""
    return signer_of(_read(path, forbidden=0o077, danger="read"), str(path))


def public_keys_of(text: str, where: str) -> dict[str, Check]:
    """What checks signatures, by key id.

    Misconfigured, naming the lines, when one is no key, or the private half of one, or there is no key at all.
    """
    found: dict[str, Check] = {}
    wrong = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip() or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line.strip())
        body = _bytes(match[2]) if match else None
        if match and body and match[1] == _id(Ed25519PrivateKey.from_private_bytes(body).public_key()):
            raise _wrong(
                f"{where}, line {number}: this is the private key, with which commands are signed",
                hint="Make new keys (docs/security.md, Keys): whoever could read this file can command every node.",
            )
        if match is None or body is None or match[1] in found:
            wrong.append(str(number))
        else:
            found[match[1]] = _check(Ed25519PublicKey.from_public_bytes(body))
    if wrong:
        lines = ", ".join(wrong[:_SHOWN])
        raise _wrong(
            f"{where}, line {lines}: no public key '<id> <base64 of 32 bytes>', or one whose id stands there twice"
        )
    if not found:
        raise _wrong(f"{where} holds no public key")
    return found


def read_public_keys(path: Path) -> dict[str, Check]:
    """The keys of such a file. Misconfigured when it cannot be read, holds none, or others may change it."""
    return public_keys_of(_read(path, forbidden=0o022, danger="change"), str(path))


def write_pair(directory: Path) -> tuple[Path, Path]:
    """Make a new key, and write its two halves into a directory. Misconfigured where either file is there already."""
    key = Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    private = key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
    name = _id(key.public_key())
    files = (directory / PRIVATE_FILE, directory / PUBLIC_FILE)
    if there := [str(path) for path in files if path.exists()]:
        raise _wrong(f"{' and '.join(there)} would be written over", hint="Choose another directory.")
    for path, body, mode in zip(files, (private, public), (0o600, 0o644), strict=True):
        _write(path, f"{name} {base64.b64encode(body).decode('ascii')}\n", mode)
    return files


def _id(key: Ed25519PublicKey) -> str:
    return hashlib.sha256(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).hexdigest()[:16]


def _check(key: Ed25519PublicKey) -> Check:
    def check(signature: bytes, payload: bytes) -> bool:
        try:
            key.verify(signature, payload)
        except InvalidSignature:
            return False
        return True

    return check


def _bytes(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return None


def _read(path: Path, *, forbidden: int, danger: str) -> str:
    """The text of a file whose mode has none of the forbidden bits, and which is ours or root's."""
    try:
        with path.open("rb") as file:
            about = os.fstat(file.fileno())
            if about.st_mode & forbidden or about.st_uid not in {0, os.geteuid()}:
                raise _wrong(
                    f"others may {danger} {path} (mode {stat.S_IMODE(about.st_mode):04o}, owner {about.st_uid})",
                    hint=f"chown root {path}; chmod {0o777 & ~forbidden & 0o644:04o} {path}. If others could do so for a"
                    " while, make new keys.",
                )
            body = file.read(_MOST_BYTES)
    except OSError as error:
        raise _wrong(f"{path} cannot be read: {error.strerror}") from error
    return body.decode("utf-8", "replace")


def _write(path: Path, text: str, mode: int) -> None:
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="ascii") as file:
            file.write(text)
    except OSError as error:
        raise _wrong(f"{path} cannot be written: {error.strerror}") from error


def _wrong(*problems: str, hint: str = "") -> Misconfigured:
    return Misconfigured(
        problems,
        hint=hint or "medusa-shipper generate-keys DIR makes a pair; docs/security.md says who needs which half.",
    )
