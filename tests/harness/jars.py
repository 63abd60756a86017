"""Apache Cassandra as jars from Maven Central, fetched once per version and user.

Maven Central holds no binary tarball, only the jars; they are all that a node and its tools
need, for `bin/` and `conf/` are short and are written by this package for each node.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from tests.harness.cache import built_once, cache_root
from tests.harness.errors import HarnessError, program

DEFAULT_VERSION = "5.0.6"

_PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies"
_POM = """<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>medusa.shipper</groupId><artifactId>harness</artifactId><version>1</version>
  <dependencies><dependency>
    <groupId>org.apache.cassandra</groupId><artifactId>cassandra-all</artifactId>
    <version>{version}</version>
  </dependency></dependencies>
</project>
"""


def java() -> str:
    """The Java launcher."""
    return program("java", "install a Java 17 runtime, e.g. apt-get install openjdk-17-jre-headless")


def installed(version: str = DEFAULT_VERSION) -> Path:
    """The directory whose `lib` holds the jars of this version; fetches them if need be."""
    if not re.fullmatch(r"\d+\.\d+(\.\d+)?(-[A-Za-z0-9]+)?", version):
        raise HarnessError(f"{version!r} is no version of Cassandra")
    return built_once(cache_root() / f"cassandra-{version}", lambda staging: _fetch(version, staging))


def jars(version: str = DEFAULT_VERSION) -> list[Path]:
    """All jars of this version, in a stable order."""
    return sorted((installed(version) / "lib").glob("*.jar"))


def _fetch(version: str, staging: Path) -> None:
    java()
    maven = program("mvn", "install Apache Maven, e.g. apt-get install maven")
    pom = staging / "pom.xml"
    pom.write_text(_POM.format(version=version))
    lib = staging / "lib"
    command = [maven, "-q", "-B", "-f", str(pom), _PLUGIN]
    command += [f"-DoutputDirectory={lib}", "-DincludeScope=runtime"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode or not list(lib.glob(f"cassandra-all-{version}.jar")):
        raise HarnessError(
            f"Maven could not fetch Cassandra {version} (exit {done.returncode}):\n"
            f"{done.stdout[-3000:]}{done.stderr[-1000:]}"
        )
