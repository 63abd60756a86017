"""What stands for a node: a cassandra.yaml with ports and directories, and a nodetool that notes how it is called."""

from __future__ import annotations

import sys
from pathlib import Path

from backupstore.settings import Settings
from shipper.wiring import NodeWiring
from tests.clocks import SettableClock
from tests.harness.s3_servers import free_port


def cassandra_yaml(
    folder: Path, *, native: int | None = None, storage: int | None = None, data: Path | None = None
) -> Path:
    """A file that says so."""
    lines = [
        "cluster_name: 'c'",
        f"data_file_directories: ['{data or folder / 'data'}']",
        *(f"{name}_directory: '{folder / name}'" for name in ("commitlog", "hints", "saved_caches", "cdc_raw")),
        "listen_address: 127.0.0.1",
        "rpc_address: 127.0.0.1",
        f"native_transport_port: {native or free_port()}",
        f"storage_port: {storage or free_port()}",
        "seed_provider:",
        "  - class_name: org.apache.cassandra.locator.SimpleSeedProvider",
        "    parameters: [{seeds: '127.0.0.1'}]",
    ]
    file = folder / "cassandra.yaml"
    file.write_text("\n".join([*lines, ""]), encoding="utf-8")
    return file


def program(folder: Path, name: str, body: str = "") -> Path:
    """A program that writes its arguments into ``NAME.called``, one a line, and then does what ``body`` says."""
    file, called = folder / name, folder / f"{name}.called"
    file.write_text(
        f"#!{sys.executable}\nimport sys, pathlib\n"
        f"pathlib.Path({str(called)!r}).write_text('\\n'.join(sys.argv[1:]))\n{body}\n"
    )
    file.chmod(0o755)
    return file


def called(folder: Path, name: str) -> list[str]:
    """How it was called last."""
    return (folder / f"{name}.called").read_text(encoding="utf-8").split("\n")


def wiring(settings: Settings, clock: SettableClock | None = None) -> NodeWiring:
    """The node of these settings, by a clock on which waiting takes no time."""
    return NodeWiring(settings, clock or SettableClock())
