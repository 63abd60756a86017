"""What ``doctor`` and purge ask of a container at Azure, and the order of its listings."""

from __future__ import annotations

import pytest

from backupstore.errors import Denied
from backupstore.ports import StoredObject
from backupstore.stores.azure.listing import in_order
from backupstore.stores.azure.store import AzureStore
from backupstore.stores.examination import Examinable, Unfinished

BUCKET = "examined"


def test_what_the_blob_service_tells(store: AzureStore, key: str) -> None:
    assert isinstance(store, Examinable)
    asked = store.examination()
    assert asked.unfinished("") == Unfinished(0, 0.0)
    assert abs(asked.skew("")) < 60
    assert not asked.creates_in_parts(key)
    assert store.read(key).body == b"x"
    assert asked.creates_in_parts(key)
    assert store.sweep_uploads(0.0) == 0


@pytest.mark.parametrize("question", ["lifecycle", "versioning", "lock_days"])
def test_what_it_does_not_tell(store: AzureStore, question: str) -> None:
    with pytest.raises(Denied, match="management service") as caught:
        getattr(store.examination(), question)()
    assert "portal" in caught.value.hint


def test_an_order_by_utf_16_becomes_one_by_code_points() -> None:
    keys = sorted(["a", "a🗝b", "a🗝", "a\uffee", "a\uffeeb", "b", "b🗝", "c\uffee", "c🗝", "日"])
    listed = [StoredObject(key, 0, 0.0) for key in sorted(keys, key=lambda key: key.encode("utf-16-be"))]
    assert [one.key for one in listed] != keys
    assert [one.key for one in in_order(listed)] == keys
    assert [one.key for one in in_order(sorted(listed, key=lambda one: one.key))] == keys
