"""Every key of stock Medusa 0.31 is known, with its default. The list is transcribed from stock, not from our code."""

from __future__ import annotations

import configparser
import json
import re
import subprocess
from pathlib import Path

import pytest

from backupstore.settings import OPTIONS, load
from backupstore.settings.sections import SECTIONS
from tests.harness import stock

NOT_SET = ""
REQUIRED = None

STOCK: dict[str, dict[str, str | None]] = {
    "storage": {
        "storage_provider": REQUIRED,
        "bucket_name": REQUIRED,
        "base_path": NOT_SET,
        "key_file": NOT_SET,
        "prefix": NOT_SET,
        "fqdn": NOT_SET,
        "host_file_separator": ",",
        "storage_class": NOT_SET,
        "max_backup_age": "0",
        "max_backup_count": "0",
        "backup_grace_period_in_days": "10",
        "api_profile": NOT_SET,
        "region": "default",
        "host": NOT_SET,
        "port": NOT_SET,
        "secure": "True",
        "ssl_verify": "False",
        "s3_addressing_style": "auto",
        "transfer_max_bandwidth": "50MB/s",
        "concurrent_transfers": "1",
        "multi_part_upload_threshold": "20MB",
        "multipart_chunksize": "50MB",
        "multipart_max_concurrency": "4",
        "read_timeout": NOT_SET,
        "kms_id": NOT_SET,
        "sse_c_key": NOT_SET,
        "use_sudo_for_restore": "True",
        "aws_cli_path": "aws",
        "k8s_mode": "False",
    },
    "cassandra": {
        "start_cmd": "sudo service cassandra start",
        "stop_cmd": "sudo service cassandra stop",
        "config_file": "/etc/cassandra/cassandra.yaml",
        "cql_username": NOT_SET,
        "cql_password": NOT_SET,
        "cql_k8s_secrets_path": NOT_SET,
        "nodetool_k8s_secrets_path": NOT_SET,
        "nodetool_username": NOT_SET,
        "nodetool_password": NOT_SET,
        "nodetool_password_file_path": NOT_SET,
        "nodetool_host": NOT_SET,
        "nodetool_port": NOT_SET,
        "nodetool_executable": "nodetool",
        "nodetool_flags": "-Dcom.sun.jndi.rmiURLParsing=legacy",
        "nodetool_ssl": NOT_SET,
        "check_running": "nodetool version",
        "is_ccm": "0",
        "certfile": NOT_SET,
        "usercert": NOT_SET,
        "userkey": NOT_SET,
        "sstableloader_bin": "sstableloader",
        "sstableloader_ts": NOT_SET,
        "sstableloader_tspw": NOT_SET,
        "sstableloader_ks": NOT_SET,
        "sstableloader_kspw": NOT_SET,
        "resolve_ip_addresses": "True",
        "use_sudo": "True",
    },
    "ssh": {
        "username": NOT_SET,  # stock: $USER
        "key_file": NOT_SET,
        "port": "22",
        "cert_file": NOT_SET,
        "use_pty": "False",
        "keepalive_seconds": "60",
        "login_shell": "False",
    },
    "checks": {
        "health_check": "cql",
        "query": NOT_SET,
        "expected_rows": "0",
        "expected_result": NOT_SET,
        "enable_md5_checks": "false",
        "md5_check_concurrency": "1",
    },
    "monitoring": {"monitoring_provider": "None", "send_backup_name_tag": "False"},
    "logging": {
        "enabled": "false",
        "file": "medusa.log",
        "level": "INFO",
        "format": "[%(asctime)s] %(levelname)s: %(message)s",
        "maxbytes": "20000000",
        "backupcount": "50",
    },
    "grpc": {
        "enabled": "False",
        "port": "50051",
        "max_send_message_length": "536870912",
        "max_receive_message_length": "134217728",
        "ca_cert": NOT_SET,
        "tls_cert": NOT_SET,
        "tls_key": NOT_SET,
    },
    "kubernetes": {
        "enabled": "False",
        "cassandra_url": "None",
        "use_mgmt_api": "False",
        "ca_cert": NOT_SET,
        "tls_cert": NOT_SET,
        "tls_key": NOT_SET,
    },
}

OURS_DIFFER = {("storage", "concurrent_transfers"): "32"}

SHIPPER = {
    "state_dir": "/var/lib/medusa-shipper",
    "incomplete_grace_days": "14",
    "keep_hourly": "0",
    "keep_daily": "0",
    "keep_weekly": "0",
    "keep_monthly": "0",
    "keep_yearly": "0",
    "minimum_complete": "1",
    "purge_max_share": "50%",
    "purge_schedule": NOT_SET,
    "report_schedule": NOT_SET,
    "reconcile_interval": "300",
    "poll_interval": "30",
    "watch": "auto",
    "listen": NOT_SET,
    "webhook_secret": NOT_SET,
    "webhook_secret_file": NOT_SET,
    "verify_interval": "86400",
    "verify_data_share": "1%",
    "nodetool_timeout": "600",
    "start_timeout": "300",
    "stop_timeout": "300",
    "reread_known_files_after_days": "30",
    "textfile_directory": "/var/lib/prometheus/node-exporter",
    "log_format": "text",
    "server_side_encryption": NOT_SET,
    "ca_file": NOT_SET,
    "backup_schedule": NOT_SET,
    "backup_mode": "differential",
    "stagger": "0",
    "command_interval": "10",
    "command_keys_file": NOT_SET,
    "command_queue": NOT_SET,
    "agent_listen": "127.0.0.1:8901",
    "signing_key_file": NOT_SET,
    "coordinate_interval": "5",
}

# The example of 2019, as printed in the documentation of the original system, with its keys in force.
SEED = """\
[cassandra]
stop_cmd = /etc/init.d/cassandra stop
start_cmd = /etc/init.d/cassandra start
config_file = /etc/cassandra/cassandra.yaml
cql_username = someone
cql_password = secret
nodetool_username = me
nodetool_password = secret
nodetool_password_file_path = /etc/password
nodetool_host = localhost
nodetool_port = 7199
check_running = nodetool version
[storage]
storage_provider = s3_us_west_oregon
bucket_name = cassandra_backups
key_file = /etc/medusa/credentials
base_path = /path/to/backups
prefix = clusterA
fqdn = node.example.com
max_backup_age = 0
max_backup_count = 0
transfer_max_bandwidth = 50MB/s
concurrent_transfers = 1
multi_part_upload_threshold = 104857600
[monitoring]
monitoring_provider = ffwd
[ssh]
username = me
key_file = /home/me/.ssh/id
[checks]
health_check = all
query = SELECT * FROM a.b
expected_rows = 1
expected_result = 1,2
[logging]
enabled = 0
file = medusa.log
level = INFO
format = [%(asctime)s] %(levelname)s: %(message)s
maxBytes = 20000000
backupCount = 50
"""


def places() -> list[tuple[str, str]]:
    return [(section, key) for section, keys in STOCK.items() for key in keys]


@pytest.mark.parametrize(("section", "key"), places())
def test_a_key_of_stock_is_known_with_its_default(section: str, key: str) -> None:
    (option,) = (one for one in OPTIONS if (one.section, one.key) == (section, key))
    assert option.description.default == OURS_DIFFER.get((section, key), STOCK[section][key])


def test_nothing_else_is_known_but_what_is_ours() -> None:
    others = {(one.section, one.key) for one in OPTIONS} - set(places())
    assert others == {("kubernetes", "pod_ip"), *(("shipper", key) for key in SHIPPER)}
    assert {one.key: one.description.default for one in OPTIONS if one.section == "shipper"} == SHIPPER
    assert list(SECTIONS) == [*STOCK, "shipper"]


def test_every_default_stands_in_a_file_as_well_as_it_stands_for_itself(tmp_path: Path) -> None:
    """With each default written out, empty where nothing is set, the settings are those of the shortest file."""
    required = {"storage_provider": "s3", "bucket_name": "b"}
    lines = []
    for section in SECTIONS:
        lines.append(f"[{section}]")
        lines += [
            f"{one.key} = {one.description.default or required.get(one.key, '')}"
            for one in OPTIONS
            if one.section == section
        ]
    written, short = tmp_path / "written.ini", tmp_path / "short.ini"
    written.write_text("\n".join(lines), encoding="utf-8")
    short.write_text("[storage]\nstorage_provider = s3\nbucket_name = b\n", encoding="utf-8")
    assert load(written, {}) == load(short, {})
    assert load(short, {}).warnings == ()


def test_the_example_of_2019_is_understood(tmp_path: Path) -> None:
    file = tmp_path / "medusa.ini"
    file.write_text(SEED, encoding="utf-8")
    loaded = load(file, {})
    assert loaded.warnings == ()
    settings = loaded.settings
    assert (settings.storage.provider, settings.storage.s3_region) == ("s3", "us-west-2")
    assert settings.storage.multi_part_upload_threshold == 100 * 1024 * 1024
    assert settings.storage.transfer_max_bandwidth == 50 * 1024 * 1024
    assert settings.storage.concurrent_transfers == 1
    assert settings.cassandra.stop_cmd == ("/etc/init.d/cassandra", "stop")
    assert settings.monitoring.monitoring_provider == "ffwd"
    assert (settings.logging.maxbytes, settings.logging.enabled) == (20000000, False)


# What stock says of itself: its example as it installs it, and the fields and defaults of its configuration.
ASK = """
import json, os
from medusa import config
fields = {name: list(section._fields) for name, section in config.CONFIG_SECTIONS.items()}
os.environ["USER"] = ""
parsed = config._build_default_config()
defaults = {name: dict(parsed[name]) for name in parsed.sections()}
print(json.dumps([fields, defaults]))
"""


@pytest.fixture(scope="module")
def stocks() -> tuple[dict[str, list[str]], dict[str, dict[str, str]]]:
    asked = subprocess.run([str(stock.python()), "-c", ASK], capture_output=True, text=True, check=True)
    fields, defaults = json.loads(asked.stdout.splitlines()[-1])
    return fields, defaults


@pytest.mark.stock
def test_stock_itself_has_no_other_keys_and_defaults(
    stocks: tuple[dict[str, list[str]], dict[str, dict[str, str]]],
) -> None:
    fields, defaults = stocks
    assert {section: {key.lower() for key in keys} for section, keys in fields.items()} == {
        section: set(keys) for section, keys in STOCK.items()
    }
    # Of the machine, and not of stock.
    del defaults["storage"]["fqdn"]
    said = {(section, key): text for section, keys in defaults.items() for key, text in keys.items() if text}
    assert {place: STOCK[place[0]][place[1]] for place in said} == said


@pytest.mark.stock
def test_each_key_of_stocks_own_example_is_known() -> None:
    """Those that are commented out as well; a value for people to fill in becomes one that may stand there."""
    (example,) = stock.python().parents[1].glob("lib/*/site-packages/medusa-example.ini")
    keys = re.findall(r"^(?:; ?)?(\w+) ?= ?|^(\[\w+\])$", example.read_text(encoding="utf-8"), re.MULTILINE)
    section, unknown, seen = "", [], 0
    known = {(one.section, one.key) for one in OPTIONS}
    for key, header in keys:
        section = header.strip("[]") or section
        seen += bool(key)
        unknown += [f"[{section}] {key}"] if key and (section, key.lower()) not in known else []
    assert not unknown
    assert seen > 60, "the example is read at all"


def test_the_example_of_2019_sets_every_key_of_its_documentation() -> None:
    """Each is in the table of what is obeyed, waits, or is ignored for a reason."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(SEED)
    known = {(one.section, one.key) for one in OPTIONS}
    assert {(section, key) for section in parser.sections() for key in parser[section]} <= known
