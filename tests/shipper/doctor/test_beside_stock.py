"""Stock's own purge on our bucket: what it has deleted is seen, and so is the job that calls it."""

from __future__ import annotations

from pathlib import Path

import pytest

from backupstore.core import layout as grammar
from backupstore.core.layout import Layout
from tests.harness.stock import Stock
from tests.shipper.cli.handmade import Made
from tests.shipper.cli.program import BUCKET, Program
from tests.shipper.doctor.asked import age, ask, run_index

pytestmark = pytest.mark.stock

LIMIT = {"storage": {"max_backup_count": "1", "backup_grace_period_in_days": "0"}}


def test_what_stocks_purge_has_deleted(tmp_path: Path) -> None:
    program = Program(tmp_path)
    program.bucket.mkdir()
    for number in (1, 2, 3):
        name = f"2026112{number}"
        program.maker().ship(name, Made(files={f"nb-{number}-big-Data.db": b"x" * number}))
        for stored in list(program.store.list(Layout().meta_folder("n1", name))):
            age(program, stored.key, (3 - number) * 3600)
    run_index(program)
    assert ask(program, "stock").status("stock/deletes") == {"ok"}
    stock = Stock(work=tmp_path / "stock", base_path=tmp_path, bucket=BUCKET, fqdn="n1", settings=LIMIT)
    stock.run("purge").check()
    left = [
        name
        for name in ("20261121", "20261122", "20261123")
        if (program.bucket / Layout().meta("n1", name, grammar.MANIFEST)).exists()
    ]
    assert left == ["20261123"]
    found = ask(program, "stock")
    assert "20261121, 20261122 of this node were finished, and deleted by somebody else" in found.said("warn")
    assert found.status("stock/data") == {"ok"}  # what the newest one names is still there
