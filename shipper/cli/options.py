"""The global options, and what every command begins with: settings, logging, the bucket, the node."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from backupstore.clock import SystemClock
from backupstore.core.layout import Layout
from backupstore.ports import ObjectStore
from backupstore.settings import DEFAULT_FILE, LoggingSettings, Settings, load
from backupstore.wiring import layout_of, open_store
from shipper.cli import logs
from shipper.cli.console import Console
from shipper.cli.logs import Wishes, log

_LOG_FORMAT = "MEDUSA_SHIPPER_LOG_FORMAT"


@dataclass(frozen=True)
class Globals:
    """What stands before the command. Everything that costs time is made when a command first asks for it."""

    config_file: Path | None
    overrides: dict[str, str]
    verbosity: int
    log_timestamp: bool

    def __post_init__(self) -> None:
        """Log from the start; mistakes in the settings are told before these can say how."""
        self._log(as_json=os.environ.get(_LOG_FORMAT, "").lower() == "json")

    @cached_property
    def settings(self) -> Settings:
        """Settings of this run; logging is set up from them, and warnings about them are logged."""
        loaded = load(self.config_file, os.environ, self.overrides)
        settings = loaded.settings
        self._log(as_json=settings.shipper.log_format == "json", file=settings.logging)
        for warning in loaded.warnings:
            log.warning(warning)
        storage = settings.storage
        log.debug(
            "settings of %s: %s bucket %s below %s, prefix %s",
            self.config_file or DEFAULT_FILE,
            storage.storage_provider,
            storage.bucket_name,
            storage.base_path or "-",
            storage.prefix or "-",
        )
        return settings

    def with_overrides(self, **given: str | None) -> Globals:
        """The same, with options that stand behind the command; None sets nothing."""
        return replace(
            self, overrides={**self.overrides, **{name: text for name, text in given.items() if text is not None}}
        )

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
        return Console(self.clock, as_json=self.settings.shipper.log_format == "json")

    @cached_property
    def node_name(self) -> str:
        """This node's name in keys. Whoever writes under it checks it: what stock could write, we can read."""
        from shipper.wiring import naming_of

        return naming_of(self.settings).own()

    def _log(self, *, as_json: bool, file: LoggingSettings | None = None) -> None:
        logs.set_up(Wishes(as_json=as_json, timestamps=self.log_timestamp, verbosity=self.verbosity), file)
