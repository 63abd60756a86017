"""Where to look because of an event; whoever can write a key can cause one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backupstore.core.events import CLUSTER, ObjectEvent, Subject, clusters_with_news, from_directory, subjects

N1 = Subject("p", "n1", "b")
BARE = Subject("", "n1", "b")


@pytest.mark.parametrize(
    ("key", "subject"),
    [
        ("index/announced/p/n1/b/started", N1),
        ("index/announced/-/n1/b/finished", BARE),
        ("index/announced/p/n1/b/corrupt", N1),
        ("p/n1/b/meta/schema.cql", N1),
        ("p/n1/b/meta/manifest.json", N1),
        ("p/n1/b/meta/abandoned", N1),
        ("n1/b/meta/attempt-2.json", BARE),
        ("p/index/backup_index/b/tokenmap_n1.json", N1),
        ("p/index/backup_index/b/finished_n1_1795370668.timestamp", N1),
        ("index/backup_index/b/differential_n1", BARE),
        ("p/index/findings/b/listing.json", Subject("p", CLUSTER, "b")),
        ("index/findings/b/content.json", Subject("", CLUSTER, "b")),
    ],
)
def test_a_key_tells_where_to_look(key: str, subject: Subject) -> None:
    assert subjects([ObjectEvent("created", key), ObjectEvent("removed", key)]) == {subject}


@pytest.mark.parametrize(
    "key",
    [
        "",
        "p/n1/data/ks/t/nb-1-big-Data.db",
        "n1/data/ks/meta/nb-1-big-Data.db",
        "p/n1/data/meta/x",
        "n1/data-v/meta/x",
        "p/index/catalog/head.json",
        "p/index/catalog/backups/b.json",
        "p/index/latest_backup/n1/backup_name.txt",
        "p/index/holds/b/1.json",
        "p/index/backup_index/b/foo.json",
        "index/announced/p/../b/started",
        "index/announced/p/n1/b/deleted",
        "p//b/meta/schema.cql",
        "p/n1/b\n/meta/schema.cql",
        "a/b/c/d/meta/schema.cql",
        f"{'é' * 200}/b/meta/schema.cql",
        "p/n\ud8001/b/meta/schema.cql",
    ],
)
def test_other_keys_tell_nothing(key: str) -> None:
    assert subjects([ObjectEvent("created", key)]) == frozenset()


@given(st.lists(st.text(max_size=40)))
def test_any_keys_are_fine(keys: list[str]) -> None:
    found = subjects(ObjectEvent("created", key) for key in keys)
    assert len(found) <= len(set(keys))


def test_a_changed_file_is_an_event() -> None:
    assert from_directory("./p/n1/b/meta/abandoned", "created") == ObjectEvent("created", "p/n1/b/meta/abandoned")
    assert subjects([from_directory("p/n1/b/meta/abandoned", "removed")]) == {N1}


@pytest.mark.parametrize(
    ("key", "prefix"),
    [
        ("p/index/jobs/requests/restore-20261123020000-00000001/request.json", "p"),
        ("p/index/jobs/requests/restore-20261123020000-00000001/wishes/1.json", "p"),
        ("index/jobs/nodes/n1/restore-20261123020000-00000001/1-1.json", ""),
    ],
)
def test_what_operators_and_nodes_say_of_a_job_is_news(key: str, prefix: str) -> None:
    assert clusters_with_news([ObjectEvent("created", key)]) == {prefix}
    assert clusters_with_news([ObjectEvent("removed", key)]) == frozenset()
    assert subjects([ObjectEvent("created", key)]) == frozenset()


@pytest.mark.parametrize(
    "key",
    [
        "",
        "p/index/jobs/records/restore-20261123020000-00000001.json",
        "p/index/jobs/turn.json",
        "p/index/jobs/over/restore-20261123020000-00000001",
        "p/index/jobs/requests",
        "p/index/commands/n1.json",
        "index/announced/p/n1/jobs/started",
        "p/../index/jobs/requests/x/request.json",
        "a/b/index/jobs/requests/x/request.json",
        f"{'é' * 200}/index/jobs/requests/x/request.json",
        "p\ud8001/index/jobs/requests/x/request.json",
    ],
)
def test_what_the_coordinator_writes_itself_is_no_news(key: str) -> None:
    assert clusters_with_news([ObjectEvent("created", key)]) == frozenset()
