"""Whose keys sign the requests: botocore finds them and renews those that expire, as for every other AWS program."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Protocol

import botocore.session
from botocore.exceptions import BotoCoreError, ClientError

from backupstore.errors import Misconfigured
from backupstore.ports import Clock
from backupstore.stores.answers import unreadable_key_file
from backupstore.stores.s3.signing import Keys

# Botocore lets out what programs, role services and their answers make of it: an absent program, JSON that is none.
_TROUBLE = (BotoCoreError, ClientError, OSError, LookupError, TypeError, ValueError)
_FRESH = 5.0  # seconds; a lock and a copy for each request would cost more than its signature


class KeySource(Protocol):
    """Gives the keys for the next request."""

    def current(self) -> Keys:
        """Keys that are valid now. Denied, Misconfigured when there are none."""
        ...

    def renewed(self, refused: Keys) -> Keys:
        """Keys after the store refused these: the same ones when there are no others."""
        ...


class BotocoreKeys:
    """``KeySource`` by botocore's chain: profile, environment, files, web identity, container, instance.

    A ``key_file`` in the form of ``~/.aws/credentials`` takes the place of that file and goes before the environment.
    """

    def __init__(self, clock: Clock, *, profile: str | None = None, key_file: Path | None = None) -> None:
        self._clock = clock
        self._profile = profile
        self._key_file = key_file
        self._lock = threading.Lock()
        self._session: botocore.session.Session | None = None
        self._keys: Keys | None = None
        self._asked = 0.0

    def current(self) -> Keys:
        """Keys that are valid now."""
        keys, asked = self._keys, self._asked
        if keys is not None and self._clock.running() - asked < _FRESH:
            return keys
        with self._lock:
            try:
                return self._ask()
            except Misconfigured:
                if self._keys is None:
                    raise
                # They are renewed long before they end. Where they did end the store says so, and `renewed` tells why.
                self._asked = self._clock.running()
                return self._keys

    def renewed(self, refused: Keys) -> Keys:
        """Keys after a refusal: found anew, since a file may have been exchanged."""
        with self._lock:
            if self._keys == refused:
                self._session = None
                return self._ask()
        return self.current()

    def _ask(self) -> Keys:
        try:
            if self._session is None:
                self._session = self._new_session()
            found = self._session.get_credentials()
            if found is None:
                raise self._missing("there are no AWS credentials to be found")
            frozen = found.get_frozen_credentials()
        except _TROUBLE as error:
            raise self._missing(f"no AWS credentials: {error!r}") from error
        if not frozen.access_key or not frozen.secret_key:
            raise self._missing("the AWS credentials are incomplete")
        self._keys = Keys(frozen.access_key, frozen.secret_key, frozen.token or "")
        self._asked = self._clock.running()
        return self._keys

    def _new_session(self) -> botocore.session.Session:
        if self._key_file is not None:
            try:
                with self._key_file.open("rb"):
                    pass
            except PermissionError as error:
                raise unreadable_key_file(self._key_file) from error
            except OSError as error:
                raise self._missing(f"{error.strerror}") from error
        return session_of(self._profile, self._key_file)

    def _missing(self, why: str) -> Misconfigured:
        where = f"key_file = {self._key_file}" if self._key_file else "no key_file"
        return Misconfigured(
            (f"[storage] {where}, api_profile = {self._profile or 'not set'}: {why}.",),
            hint="Set key_file to a file like ~/.aws/credentials, or give the machine an instance role.",
        )


def bundle_of(profile: str | None, key_file: Path | None) -> Path | None:
    """The certificate authorities that ``AWS_CA_BUNDLE`` or ``ca_bundle`` of the AWS configuration names."""
    try:
        named = session_of(profile, key_file).get_config_variable("ca_bundle")
    except BotoCoreError:
        return None  # there is no such profile: whoever asks it for keys is told so
    return Path(named) if named else None


def session_of(profile: str | None, key_file: Path | None) -> botocore.session.Session:
    """Where keys are looked for."""
    if key_file is None:
        return botocore.session.Session(profile=profile)
    session = botocore.session.Session(profile=profile or "default")  # a named profile leaves out the environment
    session.set_config_variable("credentials_file", str(key_file))
    return session
