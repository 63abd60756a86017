"""Google's own emulator of Pub/Sub: topics, push with retries, dead letters. A jar of the gcloud package, run with java.

Unlike the service it does not tell a push how often it came (``deliveryAttempt``), and waits a little longer each time
whatever the policy says: five tries take some 12 seconds.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.harness.errors import HarnessError
from tests.harness.jars import java
from tests.harness.s3_servers import running

PROJECT = "lab"
_HOST = "127.0.0.1"
_INSIDE = "platform/pubsub-emulator/lib"
_TRIES = 5


@dataclass(frozen=True, slots=True)
class Message:
    """What somebody pulled from a subscription."""

    data: bytes
    attributes: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class PubSub:
    """A running emulator, spoken to as its service is: by REST."""

    port: int

    @property
    def host(self) -> str:
        """What ``PUBSUB_EMULATOR_HOST`` has to say."""
        return f"{_HOST}:{self.port}"

    def topic(self, name: str) -> str:
        """Make a topic; its full name."""
        full = f"projects/{PROJECT}/topics/{name}"
        self._ask("PUT", full, {})
        return full

    def pulled_by(self, name: str, topic: str) -> None:
        """A subscription that somebody asks for its messages."""
        self._ask("PUT", f"projects/{PROJECT}/subscriptions/{name}", {"topic": topic})

    def pushed_to(self, url: str, topic: str, *, dead: str, tries: int = _TRIES) -> None:
        """A subscription whose messages are sent to a URL, again when it fails, and after so many tries to ``dead``.

        The URL ends with the topic's name, from which functions-framework knows where a message is from.
        """
        name = f"{topic.rpartition('/')[2]}-push"
        subscription = {
            "topic": topic,
            "pushConfig": {"pushEndpoint": f"{url}/{topic}"},
            "ackDeadlineSeconds": 60,
            "retryPolicy": {"minimumBackoff": "0.2s", "maximumBackoff": "1s"},
            "deadLetterPolicy": {"deadLetterTopic": dead, "maxDeliveryAttempts": tries},
        }
        self._ask("PUT", f"projects/{PROJECT}/subscriptions/{name}", subscription)

    def publish(self, topic: str, data: bytes, attributes: Mapping[str, str] | None = None) -> None:
        """One message."""
        message = {"data": base64.b64encode(data).decode(), "attributes": dict(attributes or {})}
        self._ask("POST", f"{topic}:publish", {"messages": [message]})

    def pull(self, name: str) -> list[Message]:
        """Take what there is; perhaps nothing yet."""
        path = f"projects/{PROJECT}/subscriptions/{name}"
        got = self._ask("POST", f"{path}:pull", {"maxMessages": 1000, "returnImmediately": True})
        held = got.get("receivedMessages", [])
        if held:
            self._ask("POST", f"{path}:acknowledge", {"ackIds": [one["ackId"] for one in held]})
        found = [one["message"] for one in held]
        return [Message(base64.b64decode(one.get("data", "")), one.get("attributes", {})) for one in found]

    def _ask(self, method: str, path: str, document: Mapping[str, Any]) -> dict[str, Any]:
        request = urllib.request.Request(f"http://{self.host}/v1/{path}", json.dumps(document).encode(), method=method)
        request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 -- the same
                found: dict[str, Any] = json.load(answer)
                return found
        except urllib.error.HTTPError as error:
            raise HarnessError(f"the Pub/Sub emulator: {error.code} {error.read().decode()}") from error


def emulator_jar() -> Path:
    """The jar of the gcloud installation on the PATH, or the one that ``PUBSUB_EMULATOR_JAR`` names."""
    if named := os.environ.get("PUBSUB_EMULATOR_JAR"):
        return Path(named)
    gcloud = shutil.which("gcloud")
    found = sorted((Path(gcloud).resolve().parents[1] / _INSIDE).glob("cloud-pubsub-emulator-*.jar")) if gcloud else []
    if not found:
        raise HarnessError(
            "The tests of Google's functions need its Pub/Sub emulator, a part of gcloud that has to be installed by"
            " itself: apt-get install google-cloud-cli-pubsub-emulator, or gcloud components install pubsub-emulator."
            " Or name its jar in PUBSUB_EMULATOR_JAR."
        )
    return found[-1]


@contextmanager
def pubsub(folder: Path) -> Iterator[PubSub]:
    """The emulator until the block ends."""
    options = ["-Xmx256M", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData"]
    jar = emulator_jar()

    def command(port: int) -> list[str]:
        return [java(), *options, "-jar", str(jar), f"--host={_HOST}", f"--port={port}"]

    with running(command, {}, folder / "pubsub.log") as port:
        yield PubSub(port)
