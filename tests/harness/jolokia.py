"""Jolokia's agent from Maven Central: JMX by HTTP, in the JVM of a real node. Fetched once per version and user."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.harness.cache import built_once, cache_root
from tests.harness.errors import HarnessError, program

VERSION = "2.2.9"

_PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy"
_NAME = f"jolokia-agent-jvm-{VERSION}-javaagent.jar"


def agent(port: int) -> str:
    """The argument for Java that has it listen on this port of loopback."""
    home = built_once(cache_root() / f"jolokia-{VERSION}", _fetch)
    return f"-javaagent:{home / _NAME}=host=127.0.0.1,port={port},discoveryEnabled=false"


def _fetch(staging: Path) -> None:
    maven = program("mvn", "install Apache Maven, e.g. apt-get install maven")
    artifact = f"org.jolokia:jolokia-agent-jvm:{VERSION}:jar:javaagent"
    command = [maven, "-q", "-B", _PLUGIN, f"-Dartifact={artifact}", f"-DoutputDirectory={staging}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=staging)
    if done.returncode or not (staging / _NAME).is_file():
        raise HarnessError(f"Maven could not fetch {artifact} (exit {done.returncode}):\n{done.stdout[-3000:]}")
