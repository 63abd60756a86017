"""The smaller sections, ``[shipper]`` that is only ours, and the whole.

In the last column of the document, ``nothing: …`` says why nobody obeys an option.
"""

# ruff: noqa: RUF009 -- option() makes a dataclass field; all defaults are immutable
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from backupstore.settings import kinds
from backupstore.settings.cassandra import NODE, NODETOOL, RESTORE, CassandraSettings
from backupstore.settings.coordinator import CoordinatorSettings
from backupstore.settings.kinds import FLAG, PATH, TEXT, choice, optional, or_default, whole
from backupstore.settings.options import Option, option, options_of
from backupstore.settings.schedules import Schedule
from backupstore.settings.storage import S3, S3_GCS, StorageSettings

NO_SSH = "nothing: no ssh is used"
NO_GRPC = "nothing: there is no gRPC server"
SNAPSHOTS = "backup"
LOGS = "all commands"
METRICS = "backup, agent, purge, report-last-backup, serve"
CHECKS = "check after a restore"
SERVE = "serve"
PURGE = "purge"

_MAX_SECONDS = 10 * 365 * 86400
_MAX_DAYS = 3650
_MAX_KEPT = 100_000


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
    enable_md5_checks: bool = option(
        FLAG,
        "false",
        "read every file and compare its digest, also where nothing seems to have changed; as `--enable-md5-checks`",
        "backup; verify compares digests in any case",
    )
    md5_check_concurrency: int = option(
        or_default(whole(0, 1000), "1"), "1", "known files that are read again at once; 0 is 1", "backup"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitoringSettings:
    """Where metrics go."""

    monitoring_provider: str | None = option(
        kinds.MONITORING,
        "None",
        "`dog-statsd`: by UDP to localhost:8125, or as `DD_AGENT_HOST` and `DD_DOGSTATSD_PORT` say; `ffwd`: by UDP to"
        " 127.0.0.1:19000; `local`: lines in the log, not stock's `metrics.json`; `prometheus`: files in"
        " `textfile_directory`; `cloudwatch`: to the CloudWatch agent at tcp://127.0.0.1:25888, or as"
        " `AWS_EMF_AGENT_ENDPOINT` says; `cloud-monitoring`: to Google's service, as this machine's account. Stock 0.31"
        " refuses all but `None`, `local` and `dog-statsd`",
        METRICS,
    )
    send_backup_name_tag: bool = option(
        FLAG, "False", "tag the metrics of `dog-statsd` with the name of the backup", METRICS
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggingSettings:
    """A log file beside what goes to stderr. Several processes may write to one."""

    enabled: bool = option(FLAG, "false", "write a log file; where that fails, work goes on with a warning", LOGS)
    file: Path = option(PATH, "medusa.log", "the file, in an existing directory", LOGS)
    level: str = option(
        kinds.LEVEL, "INFO", "what is worth writing of what we say ourselves; of libraries warnings, with -vv all", LOGS
    )
    format: str = option(
        kinds.LOG_FORMAT, "[%(asctime)s] %(levelname)s: %(message)s", "a line, in Python's % style", LOGS
    )
    maxbytes: int = option(
        whole(0), "20000000", "a new file begins at this size, 0: never (stock writes it `maxBytes`)", LOGS
    )
    backupcount: int = option(
        whole(0), "50", "old files to keep, 0: no new file is begun (stock writes it `backupCount`)", LOGS
    )


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
    """Snapshots by HTTP, for a node in a container of its own. Restores go on to use nodetool, start and stop commands."""

    enabled: bool = option(
        FLAG,
        "False",
        "snapshots by HTTP; nodes named by `POD_IP`, or else by their pods as stock does it; needs `cassandra_url`",
        SNAPSHOTS,
    )
    cassandra_url: str | None = option(kinds.URL, "None", "of the management API's snapshots, or of Jolokia", SNAPSHOTS)
    use_mgmt_api: bool = option(FLAG, "False", "the management API; no: Jolokia", SNAPSHOTS)
    ca_cert: Path | None = option(
        optional(PATH),
        "",
        "mutual TLS, all three or none: who signs the server's certificate (stock believes any)",
        SNAPSHOTS,
    )
    tls_cert: Path | None = option(optional(PATH), "", "mutual TLS: our certificate", SNAPSHOTS)
    tls_key: Path | None = option(optional(PATH), "", "mutual TLS: our key", SNAPSHOTS)
    pod_ip: str | None = option(
        optional(TEXT),
        "",
        "comes from the variable `POD_IP`; if `enabled`, the name of this node, before `fqdn` of the file, and all nodes"
        " are called by their addresses",
        "names of nodes",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ShipperSettings(CoordinatorSettings):
    """What is only ours. It stands in the companion of a file that stock Medusa reads too (``files``)."""

    state_dir: Path = option(
        kinds.ABSOLUTE,
        "/var/lib/medusa-shipper",
        "lock, known files, obeyed commands and schedule of this node, and the journal of an open restore: never remove it"
        " while a restore is open; otherwise losing it costs re-reading",
        f"{NODE}, agent",
    )
    incomplete_grace_days: int = option(
        whole(1, _MAX_DAYS),
        "14",
        "days; no backup is finished or resumed later than half of them, and unfinished ones go after all of them",
        "backup, purge",
    )
    keep_hourly: int = option(
        whole(0, _MAX_KEPT),
        "0",
        "of so many hours (UTC) the newest complete cluster backup is kept; 0: no such rule",
        PURGE,
    )
    keep_daily: int = option(whole(0, _MAX_KEPT), "0", "the same, of so many days", PURGE)
    keep_weekly: int = option(whole(0, _MAX_KEPT), "0", "the same, of so many weeks, from Monday to Sunday", PURGE)
    keep_monthly: int = option(whole(0, _MAX_KEPT), "0", "the same, of so many months", PURGE)
    keep_yearly: int = option(whole(0, _MAX_KEPT), "0", "the same, of so many years", PURGE)
    minimum_complete: int = option(
        whole(1, _MAX_KEPT), "1", "the newest complete cluster backups that never go, however old they are", PURGE
    )
    purge_max_share: float = option(
        kinds.SHARE,
        "50%",
        "a purge of more than this share of the complete backups, or of all bytes, needs `--force`",
        PURGE,
    )
    purge_schedule: Schedule | None = option(
        optional(kinds.SCHEDULE),
        "",
        "when `serve` purges every cluster that it serves: a line of a crontab without the command, in UTC, such as"
        " `15 3 * * *`; empty: never",
        SERVE,
    )
    report_schedule: Schedule | None = option(
        optional(kinds.SCHEDULE),
        "",
        "when `serve` sends the report of every cluster that it serves to where `monitoring_provider` says; empty: never",
        SERVE,
    )
    reconcile_interval: int = option(
        whole(1, _MAX_SECONDS), "300", "seconds between comparisons of catalog and bucket", f"{SERVE}, list-backups"
    )
    poll_interval: int = option(
        whole(1, _MAX_SECONDS), "30", "seconds between looks into a bucket whose writers cannot be seen", SERVE
    )
    watch: str = option(
        choice("auto", "events", "poll"),
        "auto",
        "how new objects are noticed; `auto`: events of a local disk, else webhooks, else by looking; `poll`: look in any case",
        SERVE,
    )
    listen: kinds.ListenAddress | None = option(
        optional(kinds.LISTEN), "", "where to take webhooks of MinIO, Ceph RGW or versitygw: address and port", SERVE
    )
    webhook_secret: str | None = option(
        optional(kinds.SECRET), "", "what a webhook has to bring; needed unless `listen` is a loopback address", SERVE
    )
    webhook_secret_file: Path | None = option(
        optional(kinds.ABSOLUTE), "", "a file that holds it, instead; read when `serve` starts", SERVE
    )
    verify_interval: int = option(
        whole(0, _MAX_SECONDS),
        "86400",
        "seconds after which a complete backup is verified again, on level `structure`; when it becomes complete it is"
        " verified on level `listing`; 0: neither",
        f"{SERVE}, the function verify",
    )
    verify_data_share: float = option(
        kinds.SHARE,
        "1%",
        "so much of the last complete backup's data is read and compared once in `verify_interval`, another part each time;"
        " 0: none",
        f"{SERVE}, the function verify",
    )
    nodetool_timeout: int = option(
        whole(1, _MAX_SECONDS), "600", "seconds a nodetool command, or a snapshot by HTTP, may take", NODETOOL
    )
    start_timeout: int = option(whole(1, _MAX_SECONDS), "300", "seconds until a started node must be up", RESTORE)
    stop_timeout: int = option(whole(1, _MAX_SECONDS), "300", "seconds until a stopped node must be down", RESTORE)
    reread_known_files_after_days: int = option(
        whole(1, _MAX_DAYS), "30", "days after which an unchanged file is read and checked again", "backup"
    )
    textfile_directory: Path = option(
        kinds.ABSOLUTE,
        "/var/lib/prometheus/node-exporter",
        "where `monitoring_provider = prometheus` writes: the directory of node_exporter's textfile collector",
        METRICS,
    )
    log_format: str = option(choice("text", "json"), "text", "of what goes to stderr", "all commands")
    server_side_encryption: str | None = option(
        optional(choice("AES256")),
        "",
        "AES256: the store encrypts with keys of its own (SSE-S3); empty: as `kms_id` or `sse_c_key` say, else as the bucket"
        " is set up",
        S3,
    )
    ca_file: Path | None = option(
        optional(kinds.ABSOLUTE),
        "",
        "certificates of the authorities to trust, in PEM form, instead of the machine's and of `AWS_CA_BUNDLE`; the"
        " certificate of the endpoint is checked then, whatever `ssl_verify` says",
        S3_GCS,
    )


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
