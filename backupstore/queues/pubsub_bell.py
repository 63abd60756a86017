"""Messages of a Pub/Sub subscription that say no more than: look. They are waited for as long as one request may last."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import google.auth.exceptions
from google.api_core import exceptions
from google.cloud.pubsub_v1 import SubscriberClient
from google.oauth2 import service_account

from backupstore.errors import BackupError, Denied, Misconfigured, Retryable

_AT_ONCE = 100
_WAIT = 30.0  # longer than gRPC tries to connect: else the silence of a network would be taken for that of the queue
_SECONDS = 10.0
_SCOPES = ("https://www.googleapis.com/auth/pubsub",)


class PubSubBell:
    """``ports.Bell``. ``subscription`` is ``projects/P/subscriptions/S``; ``PUBSUB_EMULATOR_HOST`` is obeyed.

    ``key_file``: the JSON key of a service account; without one, Google's library finds out who we are.
    """

    def __init__(self, subscription: str, key_file: Path | None = None) -> None:
        self._subscription = subscription
        try:
            credentials = None if key_file is None else _of(key_file)
            self._client: Any = SubscriberClient(credentials=credentials)
        except (google.auth.exceptions.GoogleAuthError, OSError, ValueError) as error:
            raise Misconfigured(
                (f"[shipper] command_queue = {subscription}: no credentials: {error}",),
                hint="Set key_file in [storage] to the JSON key of a service account, or give the machine a service"
                " account, or set GOOGLE_APPLICATION_CREDENTIALS.",
            ) from error

    def wait(self) -> Sequence[str]:
        """Wait for messages, for half a minute at most."""
        try:
            answer = self._asked("pull", {"max_messages": _AT_ONCE}, _WAIT)
        except exceptions.DeadlineExceeded:
            return ()
        return [received.ack_id for received in answer.received_messages]

    def acknowledge(self, receipts: Sequence[str]) -> None:
        """They need not come again; they may all the same."""
        try:
            self._asked("acknowledge", {"ack_ids": list(receipts)}, _SECONDS)
        except exceptions.DeadlineExceeded as error:
            raise self._error(error, "acknowledge") from error

    def close(self) -> None:
        """End its connections."""
        self._client.close()

    def _asked(self, operation: str, ask: dict[str, Any], seconds: float) -> Any:  # noqa: ANN401 -- Google's answers
        request = {"subscription": self._subscription, **ask}
        try:
            return getattr(self._client, operation)(request=request, retry=None, timeout=seconds)
        except exceptions.DeadlineExceeded:
            raise
        except (exceptions.GoogleAPIError, google.auth.exceptions.GoogleAuthError) as error:
            raise self._error(error, operation) from error

    def _error(self, error: Exception, operation: str) -> BackupError:
        said = f"{self._subscription}: {error}"
        match error:
            case exceptions.NotFound() | exceptions.InvalidArgument():
                hint = (
                    "It has to be a subscription that exists and is pulled from: projects/PROJECT/subscriptions/NAME."
                )
                return Misconfigured((f"[shipper] command_queue = {said}",), hint=hint)
            case exceptions.Forbidden() | exceptions.Unauthenticated():
                hint = "Give this node's service account roles/pubsub.subscriber on the subscription."
                return Denied(said, hint=hint, operation=operation, key=self._subscription)
        return Retryable(
            said, hint="Can this node reach pubsub.googleapis.com?", operation=operation, key=self._subscription
        )


def _of(key_file: Path) -> Any:  # noqa: ANN401 -- google-auth ships no types for them
    read: Any = service_account.Credentials.from_service_account_file
    return read(str(key_file), scopes=_SCOPES)
