"""Who may write what."""

from __future__ import annotations

from backupstore.core.layout import Layout
from backupstore.core.writers import Principal, Verb, may_write


def test_a_shipper_may_only_create_below_its_own_name() -> None:
    layout = Layout("p")
    mine = layout.meta("n1", "b", "schema.cql")
    assert may_write(Principal.SHIPPER, Verb.CREATE, mine, layout=layout, node="n1")
    assert not may_write(Principal.SHIPPER, Verb.OVERWRITE, mine, layout=layout, node="n1")
    assert not may_write(Principal.SHIPPER, Verb.DELETE, mine, layout=layout, node="n1")
    assert not may_write(Principal.SHIPPER, Verb.CREATE, mine, layout=layout, node="n")
    assert not may_write(Principal.SHIPPER, Verb.CREATE, layout.meta("n10", "b", "x"), layout=layout, node="n1")
    assert not may_write(Principal.SHIPPER, Verb.CREATE, mine, layout=Layout(), node="n1")
    assert not may_write(Principal.SHIPPER, Verb.CREATE, mine, layout=layout)
