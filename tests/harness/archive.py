"""A class data archive for nodetool, which spends most of its second on loading classes.

Java takes the archive only for the very class path it was made with, and goes on without where
it does not fit: it makes things faster, never different.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.harness import jars
from tests.harness.cache import locked


def nodetool_archive(version: str) -> Path:
    """The archive's path; makes it when it is missing. It may be absent still: no harm."""
    home = jars.installed(version)
    target = home / "nodetool.jsa"
    if not target.exists():
        with locked(home / "nodetool.lock"):
            if not target.exists():
                _dump(version, target)
    return target


def _dump(version: str, target: Path) -> None:
    staging = target.with_suffix(".new")
    classpath = ":".join(map(str, jars.jars(version)))
    # A command that fails to connect loads nearly all that one needs which succeeds.
    command = [jars.java(), f"-XX:ArchiveClassesAtExit={staging}", "-XX:+UseSerialGC", "-cp", classpath]
    command += ["org.apache.cassandra.tools.NodeTool", "-h", "127.0.0.1", "-p", "1", "status"]
    subprocess.run(command, capture_output=True, check=False)
    if staging.exists():
        staging.rename(target)
