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


def test_a_stolen_node_can_speak_for_itself_only() -> None:
    layout, job = Layout("p"), "restore-20261123134500-0a1b2c3d"
    own = layout.job_state(job, "n1", 1, 1)
    assert may_write(Principal.SHIPPER, Verb.CREATE, own, layout=layout, node="n1")
    assert not may_write(Principal.SHIPPER, Verb.OVERWRITE, own, layout=layout, node="n1")
    for key in (
        layout.job_state(job, "n10", 1, 1),
        layout.job_request(job),
        layout.job_wish(job, "w"),
        layout.job(job),
        layout.job_over(job),
        layout.job_turn(),
        layout.command("n1"),
    ):
        for verb in Verb:
            assert not may_write(Principal.SHIPPER, verb, key, layout=layout, node="n1"), key


def test_who_asks_cannot_command_and_who_commands_cannot_ask() -> None:
    layout, job = Layout("p"), "restore-20261123134500-0a1b2c3d"
    asked = (layout.job_request(job), layout.job_wish(job, "w"))
    driven = (layout.job(job), layout.job_turn(), layout.command("n1"))
    for key in asked:
        assert may_write(Principal.OPERATOR, Verb.CREATE, key, layout=layout)
        assert not may_write(Principal.OPERATOR, Verb.OVERWRITE, key, layout=layout)
        assert not may_write(Principal.COORDINATOR, Verb.CREATE, key, layout=layout)
    for key in driven:
        assert may_write(Principal.COORDINATOR, Verb.OVERWRITE, key, layout=layout)
        assert not may_write(Principal.OPERATOR, Verb.CREATE, key, layout=layout)
    assert not may_write(Principal.COORDINATOR, Verb.CREATE, layout.job_state(job, "n1", 1, 1), layout=layout)
    assert not may_write(Principal.COORDINATOR, Verb.DELETE, layout.hold("b", "1"), layout=layout)
