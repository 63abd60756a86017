"""What must hold between the options of one section, and what is allowed but deserves a warning.

A rule is only asked when all options it looks at could be read, so that one mistake is not reported as two.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from backupstore.settings.kinds import ListenAddress
from backupstore.settings.providers import EXACT, OWN_ENDPOINT, PROVIDER, REGIONS, provider_of, region_of

Values = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Rule:
    """``complaint`` gets the values of the section, and answers with what is wrong, or nothing."""

    section: str
    keys: tuple[str, ...]
    complaint: Callable[[Values], str]


def _base_path(values: Values) -> str:
    wanted = values["storage_provider"] == "local" and values["base_path"] is None
    return "is missing; the provider 'local' needs the directory that holds the buckets" if wanted else ""


def _endpoint(values: Values) -> str:
    provider = str(values["storage_provider"])
    wanted = provider in OWN_ENDPOINT and values["host"] is None
    return f"is missing; the provider '{provider}' needs its endpoint" if wanted else ""


def _old_region(values: Values) -> str:
    name, region = str(values["storage_provider"]), str(values["region"])
    if provider_of(name) != "s3" or region_of(name, region) is not None:
        return ""
    near = difflib.get_close_matches(name, [*EXACT, *REGIONS], n=1)
    meant = f"; did you mean {near[0]}?" if near else ","
    return f"is no region we know{meant} allowed: {PROVIDER.allowed}, or set region"


def _all_or_none(*keys: str) -> Callable[[Values], str]:
    def complaint(values: Values) -> str:
        missing = [key for key in keys if values[key] is None]
        partly = missing and len(missing) < len(keys)
        return f"all or none of {', '.join(keys)} must be set; missing: {', '.join(missing)}" if partly else ""

    return complaint


def _client_certificate(values: Values) -> str:
    needs = ("usercert", "userkey", "certfile")
    if values["usercert"] is None and values["userkey"] is None:
        return ""
    missing = [key for key in needs if values[key] is None]
    return f"a client certificate needs {', '.join(needs)}; missing: {', '.join(missing)}" if missing else ""


def _relative(values: Values) -> str:
    path = values["base_path"]
    relative = isinstance(path, Path) and not path.is_absolute()
    return "depends on the directory the program is started in; begin it with /" if relative else ""


def _half_a_login(values: Values) -> str:
    half = (values["cql_username"] is None) != (values["cql_password"] is None)
    return "is not used: cql_username and cql_password work only together" if half else ""


def _snapshots_by_http(values: Values) -> str:
    wanted = values["enabled"] and values["cassandra_url"] is None
    return "is missing; with [kubernetes] enabled, snapshots are taken by HTTP" if wanted else ""


def _relative_log(values: Values) -> str:
    path = values["file"]
    relative = values["enabled"] and isinstance(path, Path) and not path.is_absolute()
    return "depends on the directory the program is started in; begin it with /" if relative else ""


def _grpc(values: Values) -> str:
    return "is not obeyed: there is no gRPC server" if values["enabled"] else ""


def _open_door(values: Values) -> str:
    listen = values["listen"]
    if not isinstance(listen, ListenAddress) or listen.is_loopback:
        return ""
    bare = values["webhook_secret"] is None and values["webhook_secret_file"] is None
    return "can be reached from other machines: set webhook_secret or webhook_secret_file as well" if bare else ""


def _two_secrets(values: Values) -> str:
    both = values["webhook_secret"] is not None and values["webhook_secret_file"] is not None
    return "webhook_secret is set as well; keep one of them" if both else ""


def _unheard(values: Values) -> str:
    unheard = values["command_queue"] is not None and values["command_keys_file"] is None
    return "is not used: without command_keys_file no command is obeyed" if unheard else ""


_LOADER = ("sstableloader_ts", "sstableloader_tspw", "sstableloader_ks", "sstableloader_kspw")
_TLS = ("ca_cert", "tls_cert", "tls_key")
_LOGIN = ("cql_username", "cql_password")

ERRORS = (
    Rule("storage", ("base_path", "storage_provider"), _base_path),
    Rule("storage", ("host", "storage_provider"), _endpoint),
    Rule("storage", ("storage_provider", "region"), _old_region),
    Rule("cassandra", _LOADER, _all_or_none(*_LOADER)),
    Rule("cassandra", ("usercert", "userkey", "certfile"), _client_certificate),
    Rule("grpc", _TLS, _all_or_none(*_TLS)),
    Rule("kubernetes", _TLS, _all_or_none(*_TLS)),
    Rule("kubernetes", ("cassandra_url", "enabled"), _snapshots_by_http),
    Rule("shipper", ("listen", "webhook_secret", "webhook_secret_file"), _open_door),
    Rule("shipper", ("webhook_secret_file", "webhook_secret"), _two_secrets),
)

WARNINGS = (
    Rule("storage", ("base_path",), _relative),
    Rule("cassandra", _LOGIN, _half_a_login),
    Rule("logging", ("file", "enabled"), _relative_log),
    Rule("grpc", ("enabled",), _grpc),
    Rule("shipper", ("command_queue", "command_keys_file"), _unheard),
)
