"""Everything that can be configured: ``medusa.ini``, environment and command line become one frozen ``Settings``.

Each option is described once, beside the field that holds it (``storage``, ``cassandra``, ``sections``). ``kinds``
turns text into values, ``inifile`` knows the lines, ``sources`` says who wins, ``rules`` what must hold together;
``loading`` reports every mistake at once, and ``table`` writes the document.
"""

from __future__ import annotations

from backupstore.settings.cassandra import CassandraSettings
from backupstore.settings.loading import DEFAULT_FILE, Loaded, load
from backupstore.settings.options import Option
from backupstore.settings.providers import Provider
from backupstore.settings.sections import (
    OPTIONS,
    ChecksSettings,
    GrpcSettings,
    KubernetesSettings,
    LoggingSettings,
    MonitoringSettings,
    Settings,
    ShipperSettings,
    SshSettings,
)
from backupstore.settings.storage import StorageSettings
from backupstore.settings.table import settings_table

__all__ = [
    "DEFAULT_FILE",
    "OPTIONS",
    "CassandraSettings",
    "ChecksSettings",
    "GrpcSettings",
    "KubernetesSettings",
    "Loaded",
    "LoggingSettings",
    "MonitoringSettings",
    "Option",
    "Provider",
    "Settings",
    "ShipperSettings",
    "SshSettings",
    "StorageSettings",
    "load",
    "settings_table",
]
