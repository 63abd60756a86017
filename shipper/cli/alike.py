"""Many things of which the same is to be said, in one line: a thousand lines that say the same are read by nobody."""

from __future__ import annotations

from collections.abc import Iterable, Iterator


def alike(found: Iterable[tuple[str, str]]) -> Iterator[str]:
    """From pairs of where and why, a line for each why in their order: the first place, and how many more there are."""
    places: dict[str, list[str]] = {}
    for where, why in found:
        places.setdefault(why, []).append(where)
    for why, every in places.items():
        more = f" and {len(every) - 1} more" if len(every) > 1 else ""
        yield f"{every[0]}{more}: {why}"
