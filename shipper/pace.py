"""How much time is left. Nobody may commit later than half of the grace after a backup's intent: purge relies on it.

So what cannot be done by then is not begun: the time needed is estimated from how fast the last large backup was.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from backupstore.errors import Refused
from shipper.site import Site

_PACE = "pace"
_RATE = "bytes_per_second"
_MEASURABLE = 64 << 20  # less says nothing about how fast a large backup would be


@dataclass(frozen=True, slots=True)
class Pace:
    """Of one attempt. ``deadline`` by ``Clock.running``, which goes on while the machine is suspended."""

    site: Site
    backup: str
    deadline: float

    def check(self, size: Callable[[], int] | None = None) -> None:
        """Refused when the time is over, or does not suffice for so many bytes; they are counted only if it matters."""
        left = self.deadline - self.site.clock.running()
        rate = self._rate() if size else 0.0
        needed = size() / rate if size and rate else 0.0
        if left > needed:
            return
        hint = "Raise incomplete_grace_days in the [shipper] section on every node and for purge, then use a new name."
        estimate = f", about {needed / 3600:.1f} are needed" if needed else ""
        if needed:
            hint += f" If the last backup was slower than this one will be, remove {self.site.state.path}/{_PACE}.json."
        raise Refused(
            f"{self.backup} cannot be finished in time: {max(0.0, left) / 3600:.1f} hours are left{estimate}.",
            hint=hint,
            operation="backup",
        )

    def remember(self, size: int, seconds: float) -> None:
        """So many bytes were sent in that time."""
        if size > _MEASURABLE and seconds > 0:
            self.site.state.write(_PACE, {_RATE: size / seconds})

    def _rate(self) -> float:
        value = self.site.state.read(_PACE).get(_RATE, 0)
        return float(value) if isinstance(value, int | float) else 0.0
