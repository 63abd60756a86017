"""cassandra.yaml of one node: small in memory, quick to start, every feature switched on.

Values are written as JSON, which YAML contains; lists of paths are written in blocks, the way
Cassandra's own file has them. Keys and units are written as 4.1 and later have them, and translated
for 4.0.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

from tests.harness.config import ClusterConfig

_SMALL_AND_QUICK: dict[str, object] = {
    "auto_bootstrap": False,
    "partitioner": "org.apache.cassandra.dht.Murmur3Partitioner",
    "commitlog_sync": "periodic",
    "commitlog_sync_period": "10000ms",
    "commitlog_segment_size": "8MiB",
    "commitlog_total_space": "256MiB",
    "native_transport_port": 9042,
    "storage_port": 7000,
    "start_native_transport": True,
    "endpoint_snitch": "GossipingPropertyFileSnitch",
    "snapshot_before_compaction": False,
    "auto_snapshot": False,
    "materialized_views_enabled": True,
    "user_defined_functions_enabled": True,
    "sasi_indexes_enabled": True,
    "memtable_heap_space": "128MiB",
    "memtable_offheap_space": "64MiB",
    "key_cache_size": "16MiB",
    "counter_cache_size": "4MiB",
    "file_cache_size": "64MiB",
    "networking_cache_size": "32MiB",
    "concurrent_compactors": 1,
    "concurrent_reads": 8,
    "concurrent_writes": 8,
    "disk_optimization_strategy": "ssd",
    "compaction_throughput": "0MiB/s",
    "stream_throughput_outbound": "0MiB/s",
    # Long enough for a loaded machine; but a node that stops waits this long for the answer of
    # another one that stopped in the same moment.
    "read_request_timeout": "10s",
    "range_request_timeout": "10s",
    "write_request_timeout": "10s",
    "counter_write_request_timeout": "10s",
    "request_timeout": "10s",
    "truncate_request_timeout": "60s",
}


def settings(config: ClusterConfig, number: int, directory: Path, ips: list[str]) -> dict[str, object]:
    """All settings of one node, counted from 1; `ips` are those of the whole cluster."""
    authenticator, authorizer = "AllowAllAuthenticator", "AllowAllAuthorizer"
    if config.auth:
        authenticator, authorizer = "PasswordAuthenticator", "CassandraAuthorizer"
    # Every node is a seed: one seed and a parallel start are a race.
    seeds = {"class_name": "org.apache.cassandra.locator.SimpleSeedProvider", "parameters": [{"seeds": ",".join(ips)}]}
    values = {
        "cluster_name": config.name,
        "num_tokens": config.num_tokens,
        "initial_token": ",".join(map(str, config.tokens(number))),
        "data_file_directories": [str(path) for path in data_directories(config, directory)],
        "commitlog_directory": f"{directory}/commitlog",
        "saved_caches_directory": f"{directory}/saved_caches",
        "hints_directory": f"{directory}/hints",
        "cdc_enabled": False,
        "cdc_raw_directory": f"{directory}/cdc_raw",
        "listen_address": ips[number - 1],
        "rpc_address": ips[number - 1],
        "seed_provider": [seeds],
        "authenticator": authenticator,
        "authorizer": authorizer,
        "incremental_backups": config.incremental,
        **_SMALL_AND_QUICK,
        **_of_release(config),
        **config.settings,
    }
    return values if config.release >= (4, 1) else dict(_as_in_40(key, value) for key, value in values.items())


def data_directories(config: ClusterConfig, directory: Path) -> tuple[Path, ...]:
    """`data`, or `data1`, `data2`… where there are several."""
    if config.data_dirs == 1:
        return (directory / "data",)
    return tuple(directory / f"data{number + 1}" for number in range(config.data_dirs))


def render(values: Mapping[str, object]) -> str:
    """The text of the file."""
    return "".join(f"{key}: {_value(value)}\n" for key, value in values.items())


def _of_release(config: ClusterConfig) -> dict[str, object]:
    values: dict[str, object] = {}
    if config.release >= (5, 0):
        values["storage_compatibility_mode"] = "NONE"
        values["sstable"] = {"selected_format": config.sstable_format}
    if config.uuid_sstables is not None:
        values["uuid_sstable_identifiers_enabled"] = config.uuid_sstables
    return values


_RENAMED_AFTER_40 = {
    "materialized_views_enabled": "enable_materialized_views",
    "user_defined_functions_enabled": "enable_user_defined_functions",
    "sasi_indexes_enabled": "enable_sasi_indexes",
    "compaction_throughput": "compaction_throughput_mb_per_sec",
    "stream_throughput_outbound": "stream_throughput_outbound_megabits_per_sec",
}
_UNITS_OF_40 = {"MiB": ("_in_mb", 1), "MiB/s": ("", 1), "s": ("_in_ms", 1000), "ms": ("_in_ms", 1)}


def _as_in_40(key: str, value: object) -> tuple[str, object]:
    """A setting as Cassandra 4.0 has it: the unit stands in the key there."""
    key = _RENAMED_AFTER_40.get(key, key)
    measured = re.fullmatch(r"(\d+)(MiB|MiB/s|s|ms)", value) if isinstance(value, str) else None
    if not measured:
        return key, value
    ending, factor = _UNITS_OF_40[measured[2]]
    return key + ending, int(measured[1]) * factor


def _value(value: object) -> str:
    if isinstance(value, list):
        return "".join(f"\n    - {json.dumps(item)}" for item in value)
    return json.dumps(value)
