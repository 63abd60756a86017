"""The contract of ``ports.ObjectStore``: subclass it, give ``store``, and the adapter is tested.

It asks nothing but what the port promises: digests may be missing, times may have whole seconds, the bucket may hold
other objects. Each test has a folder of its own in it. The parts stand in the modules beside this one.
"""

from __future__ import annotations

import uuid

import pytest

from backupstore.ports import ObjectStore
from tests.conformance.listing import Listing
from tests.conformance.racing import Racing
from tests.conformance.reading import Reading
from tests.conformance.writing import Writing


class ObjectStoreContract(Reading, Writing, Listing, Racing):
    @pytest.fixture
    def store(self) -> ObjectStore:
        """The store under test; all tests may share one bucket."""
        raise NotImplementedError

    @pytest.fixture
    def root(self) -> str:
        """A folder that no other test uses."""
        return f"contract-{uuid.uuid4().hex}/"
