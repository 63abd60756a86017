"""The ``[cassandra]`` section: how to ask the node, stop it and start it."""

# ruff: noqa: RUF009 -- option() makes a dataclass field; all defaults are immutable
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from backupstore.settings import kinds
from backupstore.settings.kinds import FLAG, PATH, SECRET, TEXT, optional, or_default
from backupstore.settings.options import option

NODE = "backup, restore"
RESTORE = "restore"
CQL = "CQL session"
NODETOOL = "nodetool"
LOADER = "sstableloader"


@dataclass(frozen=True, slots=True, kw_only=True)
class CassandraSettings:
    """The node that is backed up. Commands are lists of arguments; no shell reads them."""

    start_cmd: tuple[str, ...] = option(kinds.ARGV, "sudo service cassandra start", "starts Cassandra", RESTORE)
    stop_cmd: tuple[str, ...] = option(kinds.ARGV, "sudo service cassandra stop", "stops Cassandra", RESTORE)
    config_file: Path = option(
        PATH, "/etc/cassandra/cassandra.yaml", "where data directories, addresses and ports are read from", NODE
    )
    cql_username: str | None = option(optional(TEXT), "", "user for CQL; used only together with a password", CQL)
    cql_password: str | None = option(optional(SECRET), "", "its password", CQL)
    cql_k8s_secrets_path: Path | None = option(
        optional(PATH), "", "directory with the files `username` and `password`; goes before the two above", CQL
    )
    nodetool_username: str | None = option(optional(TEXT), "", "user for JMX", NODETOOL)
    nodetool_password: str | None = option(optional(SECRET), "", "its password", NODETOOL)
    nodetool_password_file_path: Path | None = option(
        optional(PATH), "", "file with user and password; does not show in the list of processes", NODETOOL
    )
    nodetool_k8s_secrets_path: Path | None = option(
        optional(PATH), "", "directory with the files `username` and `password`, the same for nodetool", NODETOOL
    )
    nodetool_host: str | None = option(optional(TEXT), "", "where nodetool connects to", NODETOOL)
    nodetool_port: int | None = option(optional(kinds.PORT), "", "its port", NODETOOL)
    nodetool_executable: str = option(TEXT, "nodetool", "the program", NODETOOL)
    nodetool_flags: tuple[str, ...] = option(
        kinds.FLAGS, "-Dcom.sun.jndi.rmiURLParsing=legacy", "its first arguments; may be empty", NODETOOL
    )
    nodetool_ssl: bool = option(
        kinds.NODETOOL_SSL, "", "adds `--ssl`; stock takes only the exact text `true` as a yes", NODETOOL
    )
    check_running: tuple[str, ...] = option(
        kinds.ARGV, "nodetool version", "stock: no longer used", "nothing: ports and nodetool are asked"
    )
    is_ccm: bool = option(
        or_default(FLAG, "0"), "0", "stock's test mode", "nothing: our tests start Cassandra themselves"
    )
    certfile: Path | None = option(optional(PATH), "", "CQL over TLS: the authority's certificate", CQL)
    usercert: Path | None = option(
        optional(PATH), "", "CQL over TLS: our certificate; needs `userkey`, `certfile`", CQL
    )
    userkey: Path | None = option(optional(PATH), "", "CQL over TLS: our key; needs `usercert`, `certfile`", CQL)
    sstableloader_bin: str = option(TEXT, "sstableloader", "the program", LOADER)
    sstableloader_ts: Path | None = option(optional(PATH), "", "truststore; all four of these or none", LOADER)
    sstableloader_tspw: str | None = option(optional(SECRET), "", "password of the truststore", LOADER)
    sstableloader_ks: Path | None = option(optional(PATH), "", "keystore", LOADER)
    sstableloader_kspw: str | None = option(optional(SECRET), "", "password of the keystore", LOADER)
    resolve_ip_addresses: bool = option(
        FLAG, "True", "nodes are called by host names in the bucket; no: by IP addresses", "names of nodes"
    )
    use_sudo: bool = option(
        FLAG,
        "True",
        "stock: sudo before remote commands",
        "nothing: there are no remote commands; `start_cmd` and `stop_cmd` say sudo themselves",
    )
