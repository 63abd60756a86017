"""The ``[storage]`` section: where the bucket is, how to reach it, and how long backups stay there."""

# ruff: noqa: RUF009 -- option() makes a dataclass field; all defaults are immutable
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from backupstore.settings import kinds
from backupstore.settings.kinds import FLAG, PATH, SIZE, TEXT, optional, or_default, whole
from backupstore.settings.options import option
from backupstore.settings.providers import DEFAULT_REGION, PROVIDER, Provider, provider_of, region_of

ALL = "all commands"
S3 = "S3: all commands"
S3_GCS = "S3, GCS: all commands"
S3_GCS_AZURE = "S3, GCS, Azure: all commands"
REMOTE = "S3, GCS, Azure, libcloud: all commands"
TRANSFER = "backup, restore, download"
RETENTION = "purge"


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageSettings:
    """The bucket."""

    storage_provider: str = option(
        PROVIDER,
        None,
        "what kind of store the bucket is in",
        ALL,
    )
    bucket_name: str = option(
        kinds.BUCKET, None, "the bucket or container; for `local` a directory below `base_path`", ALL
    )
    base_path: Path | None = option(
        optional(PATH), "", "the directory that holds the buckets; required for `local`", ALL
    )
    key_file: Path | None = option(
        optional(PATH),
        "",
        "file with credentials: AWS ini; JSON of a GCS service account; for Azure `storage_account` and `key`; for libcloud"
        " what its driver takes",
        REMOTE,
    )
    prefix: str | None = option(
        optional(kinds.PREFIX), "", "one path segment before all keys; each cluster needs its own", ALL
    )
    fqdn: str | None = option(
        optional(kinds.NODES),
        "",
        "the name of this node in the bucket; not set: the host name, resolved as `resolve_ip_addresses` says",
        ALL,
    )
    host_file_separator: str = option(TEXT, ",", "between the columns of a host list", "restore-cluster")
    storage_class: str | None = option(
        optional(kinds.UPPER),
        "",
        "storage class of what is uploaded, such as STANDARD_IA, or NEARLINE at GCS; at Azure HOT, COOL or COLD",
        S3_GCS_AZURE,
    )
    max_backup_age: int = option(whole(0), "0", "days after which a backup is purged; 0: never by age", RETENTION)
    max_backup_count: int = option(whole(0), "0", "complete cluster backups to keep; 0: no limit by count", RETENTION)
    backup_grace_period_in_days: int = option(
        whole(0), "10", "days for which files that no manifest names are left alone", RETENTION
    )
    api_profile: str | None = option(optional(TEXT), "", "profile in the AWS credentials", S3)
    region: str = option(
        or_default(TEXT, "default"),
        "default",
        "`default`: the region of an old provider name such as s3_us_west_oregon, else us-east-1",
        "S3, libcloud: all commands",
    )
    host: str | None = option(
        optional(TEXT),
        "",
        "endpoint; required for s3_compatible, s3_rgw and ibm_storage; for Azure the domain, or the URL of an emulator; for"
        " GCS a private address of it, or what `STORAGE_EMULATOR_HOST` says",
        REMOTE,
    )
    port: int | None = option(optional(kinds.PORT), "", "port of the endpoint", REMOTE)
    secure: bool = option(
        or_default(FLAG, "True"), "True", "https for an endpoint of one's own", "S3, GCS, libcloud: all commands"
    )
    ssl_verify: bool = option(
        or_default(FLAG, "False"),
        "False",
        "check the certificate of an endpoint of one's own; stock's default is no, yes is safer",
        S3,
    )
    s3_addressing_style: str = option(
        kinds.choice("auto", "path", "virtual"), "auto", "how the bucket stands in the URL", S3
    )
    transfer_max_bandwidth: int | None = option(
        optional(SIZE),
        "50MB/s",
        "bytes a second, per process, each way, on local buckets too; empty: no limit",
        TRANSFER,
    )
    concurrent_transfers: int = option(whole(1, 1000), "32", "files at once; stock's default is 1", TRANSFER)
    multi_part_upload_threshold: int = option(
        or_default(SIZE, "20MB"), "20MB", "larger files are uploaded in parts", S3
    )
    multipart_chunksize: int = option(or_default(SIZE, "50MB"), "50MB", "size of a part", S3)
    multipart_max_concurrency: int = option(or_default(whole(1, 1000), "4"), "4", "parts of one file at once", S3)
    read_timeout: int | None = option(optional(whole(1)), "", "seconds to wait for an answer of the store", REMOTE)
    kms_id: str | None = option(optional(TEXT), "", "key of SSE-KMS; at GCS of CMEK, projects/…/cryptoKeys/…", S3_GCS)
    sse_c_key: str | None = option(optional(kinds.SSE_C), "", "key of SSE-C, base64", S3)
    use_sudo_for_restore: bool = option(
        FLAG, "True", "stock: move files with sudo", "nothing: restore runs as root or as Cassandra's user"
    )
    aws_cli_path: str = option(
        or_default(TEXT, "aws"), "aws", "stock: no longer used", "nothing: no other program moves data"
    )
    k8s_mode: bool = option(
        or_default(FLAG, "False"), "False", "stock sets it for itself", "nothing: `[kubernetes] enabled` is the setting"
    )

    @property
    def local_bucket(self) -> Path | None:
        """The directory of a local bucket; None of any other."""
        return self.base_path / self.bucket_name if self.provider == "local" and self.base_path is not None else None

    @property
    def provider(self) -> Provider:
        """Which store to use; the old region names of S3 are ``s3``."""
        return provider_of(self.storage_provider)

    @property
    def address(self) -> str:
        """Where the bucket is, as a person calls it."""
        if self.provider == "google_storage":
            return self.host or "storage.googleapis.com"
        if self.provider == "azure_blobs":
            return self.host or "blob.core.windows.net"
        if self.provider == "libcloud":
            return self.host or self.storage_provider
        return str(self.host or self.base_path or self.s3_region)

    @property
    def s3_region(self) -> str:
        """The region to sign for."""
        return region_of(self.storage_provider, self.region) or DEFAULT_REGION
