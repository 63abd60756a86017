"""Which clusters jobs were asked of, and what each look for them costs."""

from __future__ import annotations

import pytest

from backupstore.core.layout import Layout
from backupstore.operations.job_search import JobSearch
from backupstore.ports import ObjectStore
from backupstore.stores.memory import MemoryBucket
from tests.clocks import SettableClock
from tests.killing import Trigger, killing

NODES = 5
NOW = 1000.0


def a_bucket(prefix: str) -> tuple[ObjectStore, Trigger]:
    """A cluster with backups, and the store with its calls counted."""
    store, layout = MemoryBucket(SettableClock().now).open(None), Layout(prefix)
    for number in range(NODES):
        store.put(layout.meta(f"n{number}", "monday", "manifest.json"), b"[]")
        store.put(f"{layout.node(f'n{number}')}data/shop/orders-1/nb-1-big-Data.db", b"")
    store.put(layout.catalog_backup("monday"), b"{}")
    calls = Trigger()
    return killing(store, calls, "store"), calls


def ask(store: ObjectStore, prefix: str) -> None:
    store.put(Layout(prefix).job_request("backup-20261123021500-00000001"), b"{}")


def test_of_a_cluster_without_a_prefix_each_node_is_looked_at_once() -> None:
    store, calls = a_bucket("")
    search = JobSearch()
    assert search.clusters(store, NOW) == ()
    before = len(calls.calls)
    ask(store, "")
    assert search.clusters(store, NOW) == ("",)
    assert len(calls.calls) - before == 1 + 2, "the request; the root of the bucket, and the cluster"


def test_clusters_are_looked_at_each_time_and_proved_once() -> None:
    store, calls = a_bucket("prod")
    search = JobSearch()
    assert search.clusters(store, NOW) == ()
    ask(store, "prod")
    before = len(calls.calls)
    assert search.clusters(store, NOW) == ("prod",)
    assert len(calls.calls) - before == 3


def test_a_job_before_any_backup_is_found_when_it_comes() -> None:
    store, _ = a_bucket("prod")
    search = JobSearch()
    store.put("new/README", b"")
    assert search.clusters(store, NOW) == ()
    ask(store, "new")
    ask(store, "newer")
    assert search.clusters(store, NOW) == ("new", "newer")


@pytest.mark.parametrize("told", [Layout("prod").announced("n0", "monday", "started"), Layout("prod").head()])
def test_no_node_hides_its_cluster(told: str) -> None:
    """Who may write below prod/n0/ may call a backup meta: it looks like the folder of a backup of a node that is called prod."""
    store, search = MemoryBucket(SettableClock().now).open(None), JobSearch()
    for key in ("prod/n0/meta/x", told):
        store.put(key, b"{}")
    assert search.clusters(store, NOW) == ()
    ask(store, "prod")
    assert search.clusters(store, NOW) == ("prod",)


def test_what_is_taken_for_a_node_is_looked_at_again_after_an_hour() -> None:
    store, search = MemoryBucket(SettableClock().now).open(None), JobSearch()
    store.put("prod/n0/meta/x", b"")
    assert search.clusters(store, NOW) == ()
    ask(store, "prod")
    assert search.clusters(store, NOW + 3599.0) == ()
    assert search.clusters(store, NOW + 3600.0) == ("prod",)
