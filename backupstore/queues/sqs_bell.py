"""Messages of an SQS queue that say no more than: look. They are waited for as long as one request may last."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from backupstore.errors import BackupError, Denied, Misconfigured, Retryable
from backupstore.queues.sqs import FORBIDDEN, UNKNOWN

_AT_ONCE = 10
_WAIT = 20  # seconds; no request of SQS waits longer
_TRIES = 2
_SECONDS = 10
_REGION = re.compile(r"https://(?:sqs|queue)\.([a-z0-9-]+)\.")
_HINT = "It has to be the URL of an SQS queue that exists, with its region in it or in AWS_DEFAULT_REGION."


class SqsBell:
    """``ports.Bell``. ``url`` is that of the queue; ``session`` knows whose keys are shown there."""

    def __init__(self, url: str, session: botocore.session.Session) -> None:
        config = Config(
            connect_timeout=_SECONDS,
            read_timeout=_WAIT + _SECONDS,
            retries={"mode": "standard", "max_attempts": _TRIES},
        )
        named = _REGION.match(url)
        self._url = url
        try:
            sessions = boto3.session.Session(botocore_session=session)
            self._client: Any = sessions.client("sqs", region_name=named[1] if named else None, config=config)
        except (BotoCoreError, ValueError) as error:
            raise Misconfigured((f"[shipper] command_queue = {url}: {error}",), hint=_HINT) from error

    def wait(self) -> Sequence[str]:
        """Wait for messages, for 20 seconds at most."""
        ask = {"QueueUrl": self._url, "MaxNumberOfMessages": _AT_ONCE, "WaitTimeSeconds": _WAIT}
        answer = self._asked("receive_message", ask)
        return [message["ReceiptHandle"] for message in answer.get("Messages", ())]

    def acknowledge(self, receipts: Sequence[str]) -> None:
        """Delete them. What the queue does not delete comes again."""
        entries = [{"Id": str(number), "ReceiptHandle": receipt} for number, receipt in enumerate(receipts)]
        self._asked("delete_message_batch", {"QueueUrl": self._url, "Entries": entries})

    def close(self) -> None:
        """End its connections."""
        self._client.close()

    def _asked(self, operation: str, ask: dict[str, Any]) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = getattr(self._client, operation)(**ask)
        except ClientError as error:
            raise self._error(error) from error
        except BotoCoreError as error:
            raise Retryable(
                f"{self._url} does not answer: {error}",
                hint="Is command_queue the URL of the queue, may this node reach it, and has it credentials?",
                operation=operation,
                key=self._url,
            ) from error
        return answer

    def _error(self, error: ClientError) -> BackupError:
        code = str(error.response.get("Error", {}).get("Code", ""))
        said = f"{self._url}: {error.response.get('Error', {}).get('Message', '') or code}"
        where = {"operation": error.operation_name, "key": self._url}
        if code in UNKNOWN:
            return Misconfigured((f"[shipper] command_queue = {said}",), hint=_HINT)
        if code in FORBIDDEN or code.startswith(("KMS.", "KmsAccess")):
            return Denied(
                said, hint="Allow sqs:ReceiveMessage and sqs:DeleteMessage on the queue to this node.", **where
            )
        return Retryable(said, hint="SQS is in trouble, or too much is asked of it.", **where)
