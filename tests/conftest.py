"""How the tests are run."""

from __future__ import annotations

from hypothesis import settings

# A limit for how long one example may take is a timing assertion: on a busy machine it fails for nothing.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
