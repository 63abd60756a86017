"""Work items in Amazon SQS, or what speaks its protocol: ten to a request, each of them answered for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from backupstore.core.work import MOST_TEXT
from backupstore.errors import BackupError, Denied, Misconfigured, Retryable
from backupstore.queues.batches import batches

_AT_ONCE = 10
_TRIES = 3
_SECONDS = 10
UNKNOWN = frozenset({"AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist", "InvalidAddress"})
FORBIDDEN = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "InvalidClientTokenId",
        "InvalidSecurity",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)


class SqsQueue:
    """``ports.WorkQueue``. ``url`` is that of the queue; credentials are found as every AWS program finds them."""

    def __init__(self, url: str, *, region: str | None = None) -> None:
        config = Config(
            connect_timeout=_SECONDS, read_timeout=_SECONDS, retries={"mode": "standard", "max_attempts": _TRIES}
        )
        self._url = url
        try:
            self._client: Any = boto3.session.Session().client("sqs", region_name=region, config=config)
        except (BotoCoreError, ValueError) as error:
            raise Misconfigured(
                (f"WORK_QUEUE = {url}: {error}",),
                hint="It has to be the URL of an SQS queue, and AWS_REGION its region.",
            ) from error

    def send(self, texts: Sequence[str]) -> None:
        """Put each text in the queue as one message. Retryable, Denied; some of them may have got there all the same."""
        for batch in batches(texts, most=_AT_ONCE, most_bytes=MOST_TEXT):
            for _ in range(_TRIES):
                batch = self._refused(batch)  # noqa: PLW2901 -- what is left of it
                if not batch:
                    break
            else:
                raise Retryable(
                    f"{self._url} did not take {len(batch)} messages",
                    hint="SQS is in trouble; the next purge or verification sends them again.",
                    operation="send",
                    key=self._url,
                )

    def close(self) -> None:
        """End its connections."""
        self._client.close()

    def _refused(self, batch: Sequence[str]) -> list[str]:
        """Send these; those that the queue did not take."""
        entries = [{"Id": str(number), "MessageBody": text} for number, text in enumerate(batch)]
        try:
            answer = self._client.send_message_batch(QueueUrl=self._url, Entries=entries)
        except ClientError as error:
            raise self._error(error) from error
        except BotoCoreError as error:
            raise Retryable(
                f"{self._url} does not answer: {error}",
                hint="Is WORK_QUEUE the URL of the queue, and may the function reach it?",
                operation="send",
                key=self._url,
            ) from error
        failed = answer.get("Failed", ())
        for one in failed:
            if one.get("SenderFault"):
                raise Denied(
                    f"{self._url} refuses a message: {one.get('Code')}: {one.get('Message', '')}",
                    hint="Look at the policy, the key and the message size of the queue.",
                    operation="send",
                    key=self._url,
                )
        return [batch[int(one["Id"])] for one in failed]

    def _error(self, error: ClientError) -> BackupError:
        code = str(error.response.get("Error", {}).get("Code", ""))
        said = f"{self._url}: {error.response.get('Error', {}).get('Message', '') or code}"
        if code in UNKNOWN:
            return Misconfigured((f"WORK_QUEUE = {said}",), hint="It has to be the URL of an SQS queue that exists.")
        if code in FORBIDDEN or code.startswith(("KMS.", "KmsAccess")):
            return Denied(
                said, hint="Allow sqs:SendMessage on the queue to the function's role.", operation="send", key=self._url
            )
        return Retryable(said, hint="It comes again with the next run.", operation="send", key=self._url)
