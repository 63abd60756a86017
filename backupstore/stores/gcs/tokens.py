"""Whose access tokens go with the requests: google-auth finds and renews them, as for every other Google program."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any, Protocol

import google.auth
import google.auth.exceptions
import google.auth.transport.requests
from google.oauth2 import service_account

from backupstore.errors import Misconfigured, Retryable
from backupstore.stores.answers import unreadable_key_file
from backupstore.stores.http.retry import Again

_SCOPES = ("https://www.googleapis.com/auth/devstorage.read_write",)


class Tokens(Protocol):
    """Gives the token for the next request."""

    def current(self) -> str:
        """A token that is valid now; empty: none is sent. Denied, Misconfigured, Again."""
        ...

    def renewed(self, refused: str) -> str:
        """A token after the store refused this one: the same when there is no other."""
        ...


class NoTokens:
    """For servers that ask for none."""

    def current(self) -> str:
        """None."""
        return ""

    def renewed(self, refused: str) -> str:
        """The same."""
        return refused


class GoogleTokens:
    """Tokens of a service account's ``key_file``, or of the application default credentials."""

    def __init__(self, key_file: Path | None = None) -> None:
        self._key_file = key_file
        self._lock = threading.Lock()
        self._credentials: Any = None  # google-auth ships no types for them

    def current(self) -> str:
        """A token that is valid for some minutes at least."""
        with self._lock:
            return self._token()

    def renewed(self, refused: str) -> str:
        """Credentials found anew, since a file may have been exchanged."""
        with self._lock:
            if self._credentials is not None and self._credentials.token == refused:
                self._credentials = None
            return self._token()

    def _token(self) -> str:
        try:
            if self._credentials is None:
                self._credentials = self._found()
            if not self._credentials.valid:
                self._credentials.refresh(google.auth.transport.requests.Request())
        except google.auth.exceptions.TransportError as error:
            raise Again(self._unanswered(error)) from error
        except google.auth.exceptions.RefreshError as error:
            if error.retryable:
                raise Again(self._unanswered(error)) from error
            raise self._missing(f"Google gives no token: {error}") from error
        except google.auth.exceptions.GoogleAuthError as error:
            raise self._missing(f"no credentials: {error}") from error
        return str(self._credentials.token)

    def _found(self) -> Any:  # noqa: ANN401 -- the same
        if self._key_file is None:
            credentials, _ = google.auth.default(scopes=_SCOPES)
            return credentials
        try:
            info = json.loads(self._key_file.read_bytes())
            read: Any = service_account.Credentials.from_service_account_info  # without types as well
            return read(info, scopes=_SCOPES)
        except PermissionError as error:
            raise unreadable_key_file(self._key_file) from error
        except OSError as error:
            raise self._missing(error.strerror or str(error)) from error
        except (ValueError, AttributeError, TypeError) as error:  # no JSON, no such fields, or no private key
            raise self._missing("it is no JSON key of a service account") from error

    def _unanswered(self, error: Exception) -> Retryable:
        return Retryable(
            f"Google's token service cannot be reached: {error}",
            hint="Check the network, the proxy, and the metadata service of the machine.",
            operation="credentials",
        )

    def _missing(self, why: str) -> Misconfigured:
        where = f"[storage] key_file = {self._key_file}" if self._key_file else "[storage] key_file is not set"
        return Misconfigured(
            (f"{where}: {why}.",),
            hint="Set key_file to the JSON key of a service account, or give the machine a service account, or set"
            " GOOGLE_APPLICATION_CREDENTIALS.",
        )
