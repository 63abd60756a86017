"""Reading: the same answers with and without a catalog, and nothing is ever written."""

from __future__ import annotations

import pytest

from backupstore.core.catalog import content
from backupstore.core.writers import Principal
from backupstore.errors import Corrupt
from backupstore.operations.reading import is_behind, read_backup, read_head, survey
from tests.operations.stories import Story


@pytest.fixture
def story() -> Story:
    story = Story()
    story.ship("n1", "a")
    story.ship("n2", "a")
    story.stock("n1", "b")
    return story


def test_without_a_catalog_there_is_nothing_to_read(story: Story) -> None:
    assert read_head(story.store, story.layout) is None
    assert read_backup(story.store, story.layout, "a") is None
    assert is_behind(None, now=1.0, interval=1.0)


def test_a_survey_says_what_a_rebuild_would_write(story: Story) -> None:
    reader = story.bucket.open(Principal.OPERATOR, story.layout)  # may not write the index
    for _ in range(2):
        found = survey(reader, story.layout, now=5.0, revision=story.revision)
        story.reconcile(everything=True)
        assert found.head.checked == 5.0
        assert content(found.head) == content(story.head())
        assert {name: content(document) for name, document in found.documents.items()} == {
            name: content(story.document(name)) for name in ("a", "b")
        }


def test_a_survey_does_not_need_the_catalog(story: Story) -> None:
    story.reconcile()
    right = content(story.head())
    story.store.put(story.layout.catalog_backup("a"), b"rubbish")
    story.store.put(story.layout.head(), b"rubbish")
    assert content(survey(story.store, story.layout, now=5.0, revision=story.revision).head) == right
    with pytest.raises(Corrupt):
        read_head(story.store, story.layout)
    with pytest.raises(Corrupt):
        read_backup(story.store, story.layout, "a")


def test_a_backup_that_is_gone_is_none(story: Story) -> None:
    story.reconcile()
    story.remove("p/n1/b/")
    story.reconcile()
    assert read_backup(story.store, story.layout, "b") is None
    assert "b" not in survey(story.store, story.layout, now=5.0, revision=story.revision).documents


def test_when_a_catalog_is_behind(story: Story) -> None:
    story.reconcile(now=1000.0)
    head = story.head()
    assert is_behind(head, now=1100.0, interval=60.0) is None
    assert is_behind(head, now=1121.0, interval=60.0) == "the catalog was last confirmed 2 minutes ago"
    assert is_behind(head, now=1000.0, interval=60.0, last_own="a", node="n2") is None
    assert is_behind(head, now=1000.0, interval=60.0, last_own="b", node="n2")
    assert (
        is_behind(head, now=1000.0, interval=60.0, last_own="c", node="n1") == "the catalog does not know c of n1 yet"
    )
