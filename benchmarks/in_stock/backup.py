"""Stock's ``backup-node`` as a process, with everything but Cassandra. Runs in stock's own venv, as a script.

    python in_stock/backup.py medusa.ini NAME FOLDER

As in ``ours_backup``, the snapshot is there already and asking the node costs nothing. Stock's ionice and nice are left
out: they would only slow it down beside a server on the same processors.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import TracebackType

# It is in stock's venv, not in ours. Its command line has to come first: that patches the standard library.
from medusa.medusacli import backup_node, cli  # type: ignore[import-not-found]  # isort: skip
from medusa.cassandra_utils import SnapshotPath  # type: ignore[import-not-found]  # isort: skip

NAME = "10.0.0.1"
TAG = "bench"


class PreparedCassandra:
    """Cassandra, its session and its snapshot in one, as far as ``backup_node`` uses them."""

    def __init__(self, _config: object) -> None:
        self._data = Path(sys.argv[3]) / "data1"

    def __enter__(self) -> PreparedCassandra:  # noqa: PYI034 -- nothing but the standard library is sure to be there
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """The next run needs it."""

    def new_session(self) -> PreparedCassandra:
        return self

    def dump_schema(self) -> str:
        return "CREATE KEYSPACE bench;"

    def tokenmap(self) -> dict[str, dict[str, object]]:
        return {NAME: {"tokens": [1], "is_up": True, "rack": "r1", "dc": "dc1"}}

    def get_server_type_and_release_version(self) -> tuple[str, str]:
        return "cassandra", "5.0.6"

    def create_snapshot(self, _name: str, _keep: object) -> PreparedCassandra:
        return self

    def find_dirs(self) -> list[object]:
        return [
            SnapshotPath(folder, *folder.relative_to(self._data).parts[:2])
            for folder in sorted(self._data.glob(f"*/*/snapshots/{TAG}"))
        ]


def main(ini: Path, name: str) -> None:
    """Back up, differentially."""
    backup_node.Cassandra = PreparedCassandra
    backup_node.throttle_backup = lambda: None
    cli(["--config-file", str(ini), "backup-node", "--backup-name", name, "--mode", "differential"])


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
