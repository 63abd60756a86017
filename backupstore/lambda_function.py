"""What the functions that work off a queue of Amazon's have in common on Lambda."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType
from aws_lambda_powertools.utilities.typing import LambdaContext

from backupstore.errors import BackupError, Misconfigured
from backupstore.queues.sqs import SqsQueue


class Telling(BatchProcessor):
    """Of SQS. Leaves no failure unsaid that is none of ours: its message would come again, and nobody would know why."""

    def __init__(self, logger: Logger) -> None:
        super().__init__(EventType.SQS, raise_on_entire_batch_failure=False)
        self._logger = logger

    def failure_handler(self, record: Any, exception: Any) -> Any:  # noqa: ANN401 -- as Powertools has it
        """One message failed."""
        if not isinstance(exception[1], BackupError):
            self._logger.error("this is a defect in medusa-shipper", exc_info=exception)
        return super().failure_handler(record, exception)


def seconds_left(context: LambdaContext) -> float:
    """Until Lambda stops this invocation."""
    return context.get_remaining_time_in_millis() / 1000


def work_queue(environ: Mapping[str, str]) -> SqsQueue:
    """Where work goes, by ``WORK_QUEUE``. Misconfigured when nobody said."""
    url = environ.get("WORK_QUEUE", "")
    if not url:
        raise Misconfigured(
            ("WORK_QUEUE is not set.",), hint="Set it to the URL of the queue that calls this function."
        )
    return SqsQueue(url, region=environ.get("AWS_REGION"))
