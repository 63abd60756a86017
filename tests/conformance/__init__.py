"""The contracts of the ports, as classes of tests that every adapter subclasses with one fixture."""

import pytest

pytest.register_assert_rewrite(
    "tests.conformance.listing",
    "tests.conformance.object_store",
    "tests.conformance.racing",
    "tests.conformance.reading",
    "tests.conformance.writing",
)
