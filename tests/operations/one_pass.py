"""An indexer that looks once where it has to look again: the mutant of histories and simulations alike."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from backupstore.core.documents import ClusterBackup, Head
from backupstore.operations.passes import Indexing, Stored


def one_pass_only(patch: pytest.MonkeyPatch, *modules: ModuleType) -> None:
    """In these modules no second look is taken after a write; only a lost race is run again."""
    lost = threading.local()
    swap = Indexing.swap

    def noting(at: Indexing, key: str, document: Any, over: Stored[ClusterBackup] | Stored[Head]) -> bool:  # noqa: ANN401 # of the kind of the other
        won: bool = swap(at, key, document, over)
        lost.race = not won
        return won

    def once(look: Callable[[], bool], _key: str) -> None:
        lost.race = True
        while lost.race:
            lost.race = False
            look()

    patch.setattr(Indexing, "swap", noting)
    for module in modules:
        patch.setattr(module, "until_quiet", once)
