"""The key of a storage account, and the signature that each request carries (``SharedKey`` of the Blob service)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from backupstore.errors import Misconfigured
from backupstore.stores.answers import unreadable_key_file

_SIGNED = (
    "content-encoding",
    "content-language",
    "content-length",
    "content-md5",
    "content-type",
    "date",
    "if-modified-since",
    "if-match",
    "if-none-match",
    "if-unmodified-since",
    "range",
)
_FORM = 'The file holds {"storage_account": "NAME", "key": "BASE64"}, as stock Medusa reads it; the key is that of the account.'


@dataclass(frozen=True, slots=True)
class AccountKey:
    """A storage account and one of its two keys."""

    account: str
    secret: bytes = field(repr=False)

    def authorization(self, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str]) -> str:
        """The header of that name. ``path`` as it is sent; ``headers`` in lower case, all that go with the request."""
        length = headers.get("content-length", "")
        signed = {**headers, "content-length": "" if length == "0" else length}
        lines = [method, *(signed.get(name, "") for name in _SIGNED)]
        lines += [f"{name}:{value}" for name, value in sorted(headers.items()) if name.startswith("x-ms-")]
        lines += [f"/{self.account}{path}", *(f"{name}:{value}" for name, value in sorted(query.items()))]
        digest = hmac.new(self.secret, "\n".join(lines).encode(), hashlib.sha256).digest()
        return f"SharedKey {self.account}:{base64.b64encode(digest).decode()}"


def account_key(file: Path | None) -> AccountKey:
    """The key in ``key_file``. Misconfigured, Denied."""
    if file is None:
        raise Misconfigured(
            ("[storage] key_file is not set: there is no key of a storage account.",),
            hint=f"Name a file in key_file. {_FORM} Identities of machines and pods are not asked for tokens.",
        )
    try:
        document = json.loads(file.read_bytes())
        return AccountKey(_text(document["storage_account"]), base64.b64decode(_text(document["key"]), validate=True))
    except PermissionError as error:
        raise unreadable_key_file(file) from error
    except OSError as error:
        raise _unusable(file, error.strerror or str(error)) from error
    except (KeyError, TypeError, ValueError, RecursionError, binascii.Error) as error:
        raise _unusable(file, "it is no JSON with storage_account and key") from error


def _text(value: object) -> str:
    if isinstance(value, str) and value.isascii() and value.isprintable() and value:
        return value
    raise TypeError


def _unusable(file: Path, why: str) -> Misconfigured:
    return Misconfigured((f"[storage] key_file = {file}: {why}.",), hint=_FORM)
