"""The smaller sections, ``[shipper]`` that is only ours, and the whole.

In the last column of the document, ``not yet: x`` is parsed and checked, and waits for x; ``nothing: …`` stays so.
"""

# ruff: noqa: RUF009 -- option() makes a dataclass field; all defaults are immutable
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from backupstore.settings import kinds
from backupstore.settings.cassandra import NODE, NODETOOL, RESTORE, CassandraSettings
from backupstore.settings.kinds import FLAG, PATH, TEXT, choice, optional, or_default, whole
from backupstore.settings.options import Option, option, options_of
from backupstore.settings.storage import StorageSettings

NO_SSH = "nothing: no ssh is used"
NO_GRPC = "nothing: there is no gRPC server"
NO_K8S = "not yet: management API"
LOGS = "not yet: log file"
METRICS = "not yet: metrics"
CHECKS = "check after a restore"
SERVE = "serve"

_MAX_SECONDS = 10 * 365 * 86400
_MAX_DAYS = 3650


@dataclass(frozen=True, slots=True, kw_only=True)
class SshSettings:
    """Stock's way to reach other nodes. Parsed so that one file serves both; we have no use for it."""

    username: str | None = option(optional(TEXT), "", "stock's default is `$USER`", NO_SSH)
    key_file: Path | None = option(optional(PATH), "", "private key", NO_SSH)
    port: int = option(kinds.PORT, "22", "port of sshd", NO_SSH)
    cert_file: Path | None = option(optional(PATH), "", "signed certificate", NO_SSH)
    use_pty: bool = option(FLAG, "False", "ask for a terminal", NO_SSH)
    keepalive_seconds: int = option(whole(0), "60", "between signs of life", NO_SSH)
    login_shell: bool = option(FLAG, "False", "run a login shell", NO_SSH)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChecksSettings:
    """What tells that a node is well."""

    health_check: str = option(
        kinds.HEALTH, "cql", "`cql`: native or storage port answers; `all`: both. Stock's `thrift` is refused", CHECKS
    )
    query: str | None = option(optional(kinds.QUERY), "", "CQL query to run after a restore", CHECKS)
    expected_rows: int = option(or_default(whole(0), "0"), "0", "rows the query must give; 0: not checked", CHECKS)
    expected_result: str | None = option(
        optional(TEXT), "", "values of the first row, with commas between them", CHECKS
    )
    enable_md5_checks: bool = option(FLAG, "false", "compare digests, not only sizes", "not yet: verify, backup")
    md5_check_concurrency: int = option(
        or_default(whole(0, 1000), "1"), "1", "files to hash at once", "not yet: backup"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitoringSettings:
    """Where metrics go."""

    monitoring_provider: str | None = option(
        kinds.MONITORING, "None", "`ffwd` is from 2019; stock 0.31 refuses it", METRICS
    )
    send_backup_name_tag: bool = option(FLAG, "False", "tag metrics with the name of the backup", METRICS)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggingSettings:
    """A log file beside what goes to stderr."""

    enabled: bool = option(FLAG, "false", "write a log file", LOGS)
    file: Path = option(PATH, "medusa.log", "the file", LOGS)
    level: str = option(kinds.LEVEL, "INFO", "what is worth writing", LOGS)
    format: str = option(
        kinds.LOG_FORMAT, "[%(asctime)s] %(levelname)s: %(message)s", "a line, in Python's % style", LOGS
    )
    maxbytes: int = option(whole(0), "20000000", "a new file begins at this size (stock writes it `maxBytes`)", LOGS)
    backupcount: int = option(whole(0), "50", "old files to keep (stock writes it `backupCount`)", LOGS)


@dataclass(frozen=True, slots=True, kw_only=True)
class GrpcSettings:
    """Stock's server for Kubernetes."""

    enabled: bool = option(FLAG, "False", "stock: raise errors instead of ending", NO_GRPC)
    port: int = option(kinds.PORT, "50051", "port of the server", NO_GRPC)
    max_send_message_length: int = option(whole(1), "536870912", "bytes", NO_GRPC)
    max_receive_message_length: int = option(whole(1), "134217728", "bytes", NO_GRPC)
    ca_cert: Path | None = option(optional(PATH), "", "mutual TLS; all three or none", NO_GRPC)
    tls_cert: Path | None = option(optional(PATH), "", "mutual TLS: certificate", NO_GRPC)
    tls_key: Path | None = option(optional(PATH), "", "mutual TLS: key", NO_GRPC)


@dataclass(frozen=True, slots=True, kw_only=True)
class KubernetesSettings:
    """Stock's way to take snapshots through the management API."""

    enabled: bool = option(FLAG, "False", "stock: no sudo, snapshots by HTTP, node named by `POD_IP`", NO_K8S)
    cassandra_url: str | None = option(kinds.URL, "None", "the management API", NO_K8S)
    use_mgmt_api: bool = option(FLAG, "False", "management API instead of Jolokia", NO_K8S)
    ca_cert: Path | None = option(optional(PATH), "", "mutual TLS; all three or none", NO_K8S)
    tls_cert: Path | None = option(optional(PATH), "", "mutual TLS: certificate", NO_K8S)
    tls_key: Path | None = option(optional(PATH), "", "mutual TLS: key", NO_K8S)
    pod_ip: str | None = option(optional(TEXT), "", "comes from the variable `POD_IP`; only recorded", NO_K8S)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShipperSettings:
    """What is only ours. It stands in the companion of a file that stock Medusa reads too (``files``)."""

    state_dir: Path = option(
        kinds.ABSOLUTE,
        "/var/lib/medusa-shipper",
        "lock, known files and restore journal of this node; losing it costs only re-reading",
        NODE,
    )
    incomplete_grace_days: int = option(
        whole(1, _MAX_DAYS),
        "14",
        "days; no backup is finished or resumed later than half of them",
        "backup; not yet: purge",
    )
    reconcile_interval: int = option(
        whole(1, _MAX_SECONDS), "300", "seconds between comparisons of catalog and bucket", f"{SERVE}, list-backups"
    )
    poll_interval: int = option(
        whole(1, _MAX_SECONDS), "30", "seconds between looks into a bucket whose writers cannot be seen", SERVE
    )
    watch: str = option(
        choice("auto", "events", "poll"), "auto", "how new objects in a local bucket are noticed; NFS needs poll", SERVE
    )
    nodetool_timeout: int = option(whole(1, _MAX_SECONDS), "600", "seconds a nodetool command may take", NODETOOL)
    start_timeout: int = option(whole(1, _MAX_SECONDS), "300", "seconds until a started node must be up", RESTORE)
    stop_timeout: int = option(whole(1, _MAX_SECONDS), "300", "seconds until a stopped node must be down", RESTORE)
    reread_known_files_after_days: int = option(
        whole(1, _MAX_DAYS), "30", "days after which an unchanged file is read and checked again", "backup"
    )
    log_format: str = option(choice("text", "json"), "text", "of what goes to stderr", "all commands")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that can be configured."""

    storage: StorageSettings
    cassandra: CassandraSettings = CassandraSettings()
    ssh: SshSettings = SshSettings()
    checks: ChecksSettings = ChecksSettings()
    monitoring: MonitoringSettings = MonitoringSettings()
    logging: LoggingSettings = LoggingSettings()
    grpc: GrpcSettings = GrpcSettings()
    kubernetes: KubernetesSettings = KubernetesSettings()
    shipper: ShipperSettings = ShipperSettings()


SECTIONS: dict[str, type] = {
    "storage": StorageSettings,
    "cassandra": CassandraSettings,
    "ssh": SshSettings,
    "checks": ChecksSettings,
    "monitoring": MonitoringSettings,
    "logging": LoggingSettings,
    "grpc": GrpcSettings,
    "kubernetes": KubernetesSettings,
    "shipper": ShipperSettings,
}

OPTIONS: tuple[Option, ...] = tuple(one for name, holder in SECTIONS.items() for one in options_of(name, holder))
