"""Somebody at the terminal, who remembers."""

from __future__ import annotations

from shipper.progress import Silent


class Listener(Silent):
    """Remembers what the operator was told."""

    def __init__(self) -> None:
        self.warnings: list[str] = []
        self.steps: list[str] = []
        self.transfers: list[str] = []

    def step(self, text: str) -> None:
        self.steps.append(text)

    def begin(self, what: str, *, files: int, size: int) -> None:  # noqa: ARG002 # what it is called is enough
        self.transfers.append(what)

    def warn(self, text: str) -> None:
        self.warnings.append(text)

    @property
    def told(self) -> str:
        return "\n".join(self.warnings)
