"""What is new each time: names of documents that nobody else writes at the same moment, and revisions.

A revision makes two documents with equal content differ, so that whoever compares versions sees that one took the other's
place (A → B → A).
"""

from __future__ import annotations

import uuid


def random_text() -> str:
    """32 hex digits, other ones with every call."""
    return uuid.uuid4().hex
