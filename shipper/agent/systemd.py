"""Telling systemd how we are: lines to the socket that it names (sd_notify(3)). Without one, nobody is told."""

from __future__ import annotations

import socket
from contextlib import suppress


class Pulse:
    """``address`` is ``NOTIFY_SOCKET``; one that begins with ``@`` has no place in the file system."""

    def __init__(self, address: str = "") -> None:
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._status = ""

    def ready(self) -> None:
        """All is set up: units that wait for this one may start."""
        self._tell("READY=1")

    def beat(self, status: str) -> None:
        """We are alive, and do this; without a beat for ``WatchdogSec``, systemd kills and restarts us."""
        lines = ["WATCHDOG=1"]
        if status != self._status:
            self._status = status
            lines.append(f"STATUS={' '.join(status.split())}")
        self._tell(*lines)

    def stopping(self) -> None:
        """We end, and that may take a while."""
        self._tell("STOPPING=1")

    def _tell(self, *lines: str) -> None:
        if not self._address:
            return
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as notify:
            notify.settimeout(0)
            notify.sendto("\n".join(lines).encode(), self._address)
