"""The part of ``[shipper]`` that a coordinator obeys: with which key it signs, and how often it looks at a job."""

# ruff: noqa: RUF009 -- option() makes a dataclass field; all defaults are immutable
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from backupstore.settings import kinds
from backupstore.settings.agent import AgentSettings
from backupstore.settings.kinds import optional, whole
from backupstore.settings.options import option

_SERVE = "serve"
_HOUR = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class CoordinatorSettings(AgentSettings):
    """What makes ``serve`` a coordinator of cluster restores and backups. One chain of classes: slots allow no two bases."""

    signing_key_file: Path | None = option(
        optional(kinds.ABSOLUTE),
        "",
        "the private key with which commands to nodes are signed, as `generate-keys` makes it; only its owner may be able to"
        " read it; empty: `serve` coordinates no cluster restores and backups",
        _SERVE,
    )
    coordinate_interval: int = option(
        whole(0, _HOUR),
        "5",
        "seconds between looks at a cluster restore or backup that is under way, where there is a `signing_key_file`; 0: none"
        " is coordinated here",
        _SERVE,
    )
