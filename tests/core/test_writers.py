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


def test_who_holds_may_release_and_who_purges_may_not() -> None:
    layout = Layout("p")
    hold, record, ring = layout.hold("b", "1"), layout.purge("run"), layout.accepted_ring("b")
    assert may_write(Principal.OPERATOR, Verb.DELETE, hold, layout=layout)
    assert not may_write(Principal.PURGE, Verb.DELETE, hold, layout=layout)
    assert not may_write(Principal.PURGE, Verb.CREATE, ring, layout=layout)
    assert not may_write(Principal.OPERATOR, Verb.DELETE, ring, layout=layout)
    assert may_write(Principal.PURGE, Verb.OVERWRITE, record, layout=layout)
    assert may_write(Principal.PURGE, Verb.DELETE, record, layout=layout), "records that are old and needed by nobody"
    assert not may_write(Principal.PURGE, Verb.DELETE, ring, layout=layout)
    assert not may_write(Principal.SHIPPER, Verb.DELETE, hold, layout=layout, node="n1")


def test_verify_may_only_put_down_what_it_found() -> None:
    layout = Layout("p")
    for verb in Verb:
        assert may_write(Principal.VERIFY, verb, layout.finding("b", "listing"), layout=layout)
        for key in (layout.head(), layout.meta("n1", "b", "schema.cql"), layout.hold("b", "1"), "p/index/findings"):
            assert not may_write(Principal.VERIFY, verb, key, layout=layout)
