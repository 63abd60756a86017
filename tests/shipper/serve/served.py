"""What a catalog says, asked of the bucket's files while somebody else keeps it."""

from __future__ import annotations

import json
from pathlib import Path

from backupstore.core.keys import RowKey
from backupstore.core.layout import Layout
from tests.shipper.cli.program import Program


def states(program: Program, prefix: str = "") -> dict[str, str]:
    """The states of all cluster backups in the head."""
    try:
        head = json.loads((program.bucket / Layout(prefix).head()).read_bytes())
    except FileNotFoundError:
        return {}
    return {line["name"]: line["state"] for line in head["backups"]}


def index_of(bucket: Path) -> dict[str, bytes]:
    """Everything derived, but for what changes with every write."""
    found = {}
    for path in sorted((bucket / "index").rglob("*")):
        if path.is_file() and not {".incoming", "announced"} & set(path.parts) and path.name != "probe.json":
            body = path.read_bytes()
            if "catalog" in path.parts:
                document = json.loads(body)
                body = json.dumps({**document, "revision": "", "checked": 0, "looked": 0, "repaired": 0}).encode()
            found[path.relative_to(bucket).as_posix()] = body
    return found


def write_row(program: Program, backup: str, node: str = "n1", prefix: str = "") -> None:
    """What stock writes last of all into its index, by which the others learn of a backup."""
    layout = Layout(prefix)
    body = (program.bucket / layout.meta(node, backup, "tokenmap.json")).read_bytes()
    program.store.put(layout.row(RowKey(backup, "tokenmap", node)), body)
