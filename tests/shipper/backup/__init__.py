"""Stories of backups of a recorded node: how they go, how they are refused, and how they survive being killed."""

import pytest

pytest.register_assert_rewrite("tests.shipper.backup.world")
