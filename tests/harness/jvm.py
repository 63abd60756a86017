"""Java's arguments for a node and for its tools, and the small files that they point to.

Java reads them from argument files (`java @file`), which keeps command lines short enough to
read in `ps`. The `--add-exports` and `--add-opens` are those of Cassandra's own
`conf/jvm17-server.options`, with what 4.1 needs beside them on Java 17.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tests.harness import jars
from tests.harness.config import ClusterConfig

_EXPORTS = (
    "java.base/java.lang.ref",
    "java.base/jdk.internal.misc",
    "java.management.rmi/com.sun.jmx.remote.internal.rmi",
    "java.rmi/sun.rmi.registry",
    "java.rmi/sun.rmi.server",
    "java.sql/java.sql",
    "jdk.attach/sun.tools.attach",
    "jdk.compiler/com.sun.tools.javac.file",
    "jdk.unsupported/sun.misc",
)
_OPENS = (
    "java.base/java.io",
    "java.base/java.lang",
    "java.base/java.lang.module",
    "java.base/java.lang.reflect",
    "java.base/java.net",
    "java.base/java.nio",
    "java.base/java.util",
    "java.base/java.util.concurrent",
    "java.base/java.util.concurrent.atomic",
    "java.base/jdk.internal.loader",
    "java.base/jdk.internal.math",
    "java.base/jdk.internal.module",
    "java.base/jdk.internal.ref",
    "java.base/jdk.internal.reflect",
    "java.base/jdk.internal.util.jar",
    "java.base/sun.nio.ch",
    "java.base/sun.nio.fs",
    "jdk.compiler/com.sun.tools.javac",
    "jdk.management/com.sun.management.internal",
)
_QUICK = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData")

LOGBACK = """<configuration>
  <appender name="FILE" class="ch.qos.logback.core.FileAppender">
    <file>{logs}/system.log</file>
    <encoder><pattern>%-5level [%thread] %date{{ISO8601}} %F:%L - %msg%n</pattern></encoder>
  </appender>
  <root level="INFO"><appender-ref ref="FILE"/></root>
</configuration>
"""
TOOLS_LOGBACK = """<configuration>
  <appender name="STDERR" class="ch.qos.logback.core.ConsoleAppender">
    <target>System.err</target>
    <encoder><pattern>%-5level %msg%n</pattern></encoder>
  </appender>
  <root level="WARN"><appender-ref ref="STDERR"/></root>
</configuration>
"""


def server_arguments(config: ClusterConfig, directory: Path, jmx_port: int) -> list[str]:
    """What the node's JVM is started with, before the name of the main class."""
    conf, logs = directory / "conf", directory / "logs"
    agents = [f"-javaagent:{path}" for path in jars.jars(config.version) if path.name.startswith("jamm-")]
    properties = {
        "cassandra.config": f"file://{conf}/cassandra.yaml",
        "cassandra-rackdc.properties": f"file://{conf}/cassandra-rackdc.properties",
        "logback.configurationFile": f"file://{conf}/logback.xml",
        "cassandra.storagedir": directory,
        "cassandra.logdir": logs,
        "cassandra.triggers_dir": conf,
        "cassandra.jmx.local.port": jmx_port,
        "cassandra-foreground": "yes",
        # A quick start, and a quick stop.
        "cassandra.ring_delay_ms": 1000,
        "cassandra.skip_wait_for_gossip_to_settle": 0,
        "cassandra.gossip_settle_min_wait_ms": 0,
        "cassandra.gossip_settle_interval_ms": 200,
        "cassandra.consistent.rangemovement": "false",
        # Whoever has missed a change of the schema, as happens on a busy machine, asks for it at once, not after a minute.
        "cassandra.migration_delay_ms": 1000,
        "cassandra.schema_pull_interval_ms": 5000,
        "cassandra.superuser_setup_delay_ms": 1000 if config.auth else 0,
        "cassandra.shutdown_announce_in_ms": 200 if config.nodes > 1 else 0,
        # Who may log in is known to all, not to one node alone.
        "cassandra.system_auth.default_rf": min(3, config.nodes),
        "java.net.preferIPv4Stack": "true",
        "java.awt.headless": "true",
        "io.netty.tryReflectionSetAccessible": "true",
    }
    return [
        *("-Xms256M", "-Xmx512M", "-Xss384k", "-XX:MaxDirectMemorySize=256M", *_QUICK),
        *("-XX:+HeapDumpOnOutOfMemoryError", f"-XX:HeapDumpPath={logs}", "-XX:+ExitOnOutOfMemoryError"),
        *_modules(),
        *agents,
        *(f"-D{key}={value}" for key, value in properties.items()),
        *config.jvm,
        *("-cp", ":".join(map(str, jars.jars(config.version)))),
    ]


def tool_arguments(config: ClusterConfig, directory: Path) -> list[str]:
    """What a tool's JVM is started with: nodetool, and those that read the node's files."""
    conf = directory / "conf"
    return [
        *("-Xmx128M", "-Xss384k", *_QUICK, *_modules()),
        f"-Dcassandra.config=file://{conf}/cassandra.yaml",
        f"-Dcassandra-rackdc.properties=file://{conf}/cassandra-rackdc.properties",
        f"-Dcassandra.storagedir={directory}",
        f"-Dlogback.configurationFile=file://{conf}/logback-tools.xml",
        "-Djava.net.preferIPv4Stack=true",
        *("-cp", ":".join(map(str, jars.jars(config.version)))),
    ]


def argument_file(arguments: Iterable[str]) -> str:
    """The text of a file for `java @file`, each argument quoted."""
    return "".join('"' + each.replace("\\", "\\\\").replace('"', '\\"') + '"\n' for each in arguments)


def _modules() -> list[str]:
    exports = [f"--add-exports={name}=ALL-UNNAMED" for name in _EXPORTS]
    opens = [f"--add-opens={name}=ALL-UNNAMED" for name in _OPENS]
    return ["-Djdk.attach.allowAttachSelf=true", *exports, *opens]
