"""Work items in Google Pub/Sub: up to a thousand to a request, which takes all of them or none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import google.auth.exceptions
from google.api_core import exceptions, retry
from google.cloud.pubsub_v1 import PublisherClient as Publisher
from google.pubsub_v1 import PublisherClient

from backupstore.errors import BackupError, Denied, Misconfigured, Retryable
from backupstore.queues.batches import batches

_AT_ONCE = 1000
_MOST_BYTES = 8 << 20  # of ten million that a request may have, ids and names included
_SECONDS = 10.0
_PATIENCE = 30.0
_PASSING = (
    exceptions.Aborted,
    exceptions.DeadlineExceeded,
    exceptions.InternalServerError,
    exceptions.ResourceExhausted,
    exceptions.ServiceUnavailable,
    exceptions.Unknown,
)


class PubSubQueue:
    """``ports.WorkQueue``. ``topic`` is ``projects/P/topics/T``; ``PUBSUB_EMULATOR_HOST`` is obeyed by Google's client.

    ``patience``: seconds for which one request is tried again.
    """

    def __init__(self, topic: str, *, patience: float = _PATIENCE) -> None:
        self._topic = topic
        self._retry = retry.Retry(predicate=retry.if_exception_type(*_PASSING), initial=0.2, timeout=patience)
        try:
            self._client: Any = Publisher()
        except google.auth.exceptions.GoogleAuthError as error:
            raise Misconfigured(
                (f"WORK_QUEUE = {topic}: no credentials: {error}",),
                hint="Give the function a service account, or set GOOGLE_APPLICATION_CREDENTIALS.",
            ) from error

    def send(self, texts: Sequence[str]) -> None:
        """Publish each text as one message. Retryable, Denied; some of them may have got there all the same."""
        for batch in batches(texts, most=_AT_ONCE, most_bytes=_MOST_BYTES):
            request = {"topic": self._topic, "messages": [{"data": text.encode()} for text in batch]}
            try:
                # What Google's client itself calls in threads of its own; here the answer is waited for.
                PublisherClient.publish(self._client, request=request, retry=self._retry, timeout=_SECONDS)
            except (exceptions.GoogleAPIError, google.auth.exceptions.GoogleAuthError) as error:
                raise self._error(error) from error

    def close(self) -> None:
        """End its connections."""
        self._client.transport.close()

    def _error(self, error: Exception) -> BackupError:
        said = f"{self._topic}: {error}"
        match error:
            case exceptions.NotFound() | exceptions.InvalidArgument():
                hint = "It has to be a topic that exists, in the form projects/PROJECT/topics/TOPIC."
                return Misconfigured((f"WORK_QUEUE = {said}",), hint=hint)
            case exceptions.Forbidden() | exceptions.Unauthenticated():
                hint = "Give the function's service account roles/pubsub.publisher on the topic."
                return Denied(said, hint=hint, operation="send", key=self._topic)
        return Retryable(said, hint="It comes again with the next run.", operation="send", key=self._topic)
