"""functions-framework, the runtime of Google's functions, running a function that was deployed as a directory.

It listens as a function on Cloud Run does, with Google's own server program and threads, and is called by pushes of
Pub/Sub.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.harness.s3_servers import running


@dataclass(frozen=True, slots=True)
class CloudFunction:
    """A deployed function that listens."""

    port: int
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def said(self) -> str:
        """All that it has logged."""
        return self.log.read_text(encoding="utf-8", errors="replace")


@contextmanager
def served(folder: Path, source: str, settings: Mapping[str, str], *, alone: bool = False) -> Iterator[CloudFunction]:
    """Run the function of this bundle (``lambda_runtime.bundle``) until the block ends. ``source``: its file in there.

    ``alone``: without the packages that are installed here.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MEDUSA_", "GOOGLE_"))}
    environment |= {"PYTHONPATH": str(folder), "NO_GCE_CHECK": "true", "CLOUDSDK_CONFIG": str(folder / "no-gcloud")}
    log = folder.with_name(f"{folder.name}.log")

    def command(port: int) -> list[str]:
        framework = [sys.executable, *(["-S"] if alone else []), "-m", "functions_framework", "--target", "handler"]
        return [*framework, "--source", str(folder / source), "--signature-type", "cloudevent", "--port", str(port)]

    with running(command, {**environment, **settings}, log) as port:
        yield CloudFunction(port, log)
