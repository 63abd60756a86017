"""Who types the commands."""

from __future__ import annotations

from getpass import getuser


def operator() -> str:
    """As the machine calls them."""
    try:
        return getuser()
    except (KeyError, OSError, ImportError):  # in a container, a user may have no name
        return "operator"
