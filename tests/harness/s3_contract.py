"""The port's contract as the servers of the tests can keep it, stated where that is less than the port wants.

S3 has no folders; both servers keep objects as files in directories, and lose a write now and then into a directory that
a deletion is just removing because it is empty: versitygw 1.8.0 says 200 and keeps nothing, MinIO says AccessDenied.
"""

from __future__ import annotations

import pytest

from backupstore.errors import NotFound
from backupstore.ports import ObjectStore
from tests.conformance.object_store import ObjectStoreContract
from tests.conformance.racing import WRITERS, create_and_delete, replace_and_delete


class MinioContract(ObjectStoreContract):
    def test_creating_beside_deleting(self, store: ObjectStore, root: str) -> None:
        """In a folder that is never empty."""
        store.create(f"{root}shared/folder/neighbour", b"")
        assert len(create_and_delete(store, f"{root}shared/folder/")) == WRITERS
        assert [stored.key for stored in store.list(root)] == [f"{root}shared/folder/neighbour"]


class VersitygwContract(MinioContract):
    def test_a_replace_does_not_bring_back_what_is_deleted(self, store: ObjectStore, root: str) -> None:
        """It may: versitygw deletes without the lock of its writes (``DeleteObject`` in its ``backend/posix``).

        But at most one replaces, nothing else than its object is left, and that can be deleted.
        """
        for attempt in range(10):
            key = f"{root}{attempt}"
            replacing = [number for number in replace_and_delete(store, key) if number % 2]
            assert len(replacing) <= 1
            left = [store.read(stored.key).body for stored in store.list(root)]
            assert left in ([], [b"%d" % number for number in replacing])
            store.delete([key])
            with pytest.raises(NotFound):
                store.head(key)
