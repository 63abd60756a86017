"""The global options, and what every command begins with: settings, logging, the bucket, the node."""

from __future__ import annotations

import logging
import os
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from backupstore.clock import SystemClock
from backupstore.core import names
from backupstore.core.layout import Layout
from backupstore.ports import ObjectStore
from backupstore.settings import Settings, load
from backupstore.wiring import layout_of, open_store
from shipper.cli.console import Console, json_formatter

_STAMPED = "[%(asctime)s] %(levelname)s: %(message)s"
_PLAIN = "%(levelname)s: %(message)s"


@dataclass(frozen=True)
class Globals:
    """What stands before the command. Everything that costs time is made when a command first asks for it."""

    config_file: Path | None
    overrides: dict[str, str]
    verbosity: int
    log_timestamp: bool

    @cached_property
    def settings(self) -> Settings:
        """Settings of this run; logging is set up from them, and warnings about them are logged."""
        loaded = load(self.config_file, os.environ, self.overrides)
        _set_up_logging(loaded.settings, self)
        for warning in loaded.warnings:
            logging.getLogger("medusa-shipper").warning(warning)
        return loaded.settings

    @cached_property
    def store(self) -> ObjectStore:
        """The bucket."""
        return open_store(self.settings)

    @property
    def layout(self) -> Layout:
        """The keys of the configured cluster."""
        return layout_of(self.settings)

    @cached_property
    def clock(self) -> SystemClock:
        """The machine's clock."""
        return SystemClock()

    @cached_property
    def console(self) -> Console:
        """Where people read."""
        return Console(self.settings.shipper.log_format == "json")

    @cached_property
    def node_name(self) -> str:
        """This node's name in keys."""
        from shipper.wiring import naming_of

        fqdn = self.settings.storage.fqdn
        return names.check_node_name(fqdn or naming_of(self.settings).own(), self.layout.prefix)


def _set_up_logging(settings: Settings, chosen: Globals) -> None:
    handler = logging.StreamHandler(sys.stderr)
    if settings.shipper.log_format == "json":
        handler.setFormatter(json_formatter())
    else:
        handler.setFormatter(
            logging.Formatter(_STAMPED if chosen.log_timestamp else _PLAIN, datefmt="%Y-%m-%d %H:%M:%S")
        )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO if chosen.verbosity == 0 else logging.DEBUG)
    # The driver tells of every closed connection; what matters of it reaches the operator as an error of ours.
    logging.getLogger("cassandra").setLevel(logging.ERROR if chosen.verbosity < 2 else logging.DEBUG)  # noqa: PLR2004  -vv
