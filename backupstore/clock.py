"""The real clock. The only module of the kernel that asks the machine what time it is."""

from __future__ import annotations

import time
from pathlib import Path


class SystemClock:
    """``ports.Clock`` on a Linux machine."""

    def now(self) -> float:
        """UTC, epoch seconds."""
        return time.time()

    def running(self) -> float:
        """Seconds since boot, suspend included."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def boot_id(self) -> str:
        """The kernel's random id of this boot; one constant where there is none."""
        try:
            return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        except OSError:
            return "unknown"

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)
