"""Bytes for people."""

from __future__ import annotations

_UNITS = ("B", "KB", "MB", "GB", "TB", "PB")
_STEP = 1024


def human_size(count: int) -> str:
    """As stock prints sizes: ``12.20 TB``, in steps of 1024."""
    value, unit = float(count), 0
    while value >= _STEP and unit < len(_UNITS) - 1:
        value, unit = value / _STEP, unit + 1
    return f"{value:.2f} {_UNITS[unit]}"
