"""Keys of a role, as a machine at Amazon gets them: the instance's metadata service, and that of containers.

Both speak HTTP on loopback here, and hand out what ``keys`` says at that moment, each time good for ``lives`` seconds
only; botocore asks again when there are less than fifteen minutes left.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from backupstore.stores.s3.signing import Keys
from tests.harness.listening import HttpHandler, listening

_ROLE = "/latest/meta-data/iam/security-credentials/"
_TOKEN = "a-session-of-the-metadata-service"


@dataclass(slots=True)
class RoleKeys:
    """What is handed out. ``broken``: this answer is given instead. ``asked``: the paths of requests for keys."""

    keys: Keys
    lives: float = 300.0
    broken: str | None = None
    port: int = 0
    asked: list[str] = field(default_factory=list)

    @property
    def on_an_instance(self) -> dict[str, str]:
        """The environment in which botocore finds the metadata service."""
        return {"AWS_EC2_METADATA_SERVICE_ENDPOINT": f"http://127.0.0.1:{self.port}", "AWS_EC2_METADATA_DISABLED": ""}

    @property
    def in_a_container(self) -> dict[str, str]:
        """The environment that a container is started with."""
        return {"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://127.0.0.1:{self.port}/of-the-task"}

    def answer(self, path: str) -> str:
        """The keys, as JSON."""
        self.asked.append(path)
        if self.broken is not None:
            return self.broken
        end = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + self.lives))
        named = {"AccessKeyId": self.keys.access, "SecretAccessKey": self.keys.secret, "Token": self.keys.token}
        return json.dumps({"Code": "Success", "Type": "AWS-HMAC", "Expiration": end, **named})


@contextmanager
def role_keys(keys: Keys) -> Iterator[RoleKeys]:
    """The services, on a port of their own."""
    given = RoleKeys(keys)

    class Handler(HttpHandler):
        def do_PUT(self) -> None:  # noqa: N802 -- the name that http.server looks for
            self._say(_TOKEN if self.path == "/latest/api/token" else None)

        def do_GET(self) -> None:  # noqa: N802 -- the same
            known = self.headers.get("x-aws-ec2-metadata-token") == _TOKEN
            if self.path == _ROLE:
                self._say("backup-role" if known else None)
            elif self.path == "/of-the-task" or (known and self.path == f"{_ROLE}backup-role"):
                self._say(given.answer(self.path))
            else:
                self._say(None)

        def _say(self, text: str | None) -> None:
            body = (text or "").encode()
            self.send_response(404 if text is None else 200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with listening(Handler) as given.port:
        yield given
