"""What importing the Cassandra side must not cost."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import shipper


def test_the_driver_is_imported_only_when_it_is_used() -> None:
    code = (
        "import sys, shipper.cassandra.node, shipper.cassandra.service\n"
        "sys.exit(any(name.partition('.')[0] == 'cassandra' for name in sys.modules))"
    )
    root = Path(shipper.__file__ or "").parents[1]
    subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=root, check=True)
