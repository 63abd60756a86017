"""Settings: who wins, that nothing can be changed later, and that secrets are shown nowhere."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from backupstore.errors import Misconfigured
from backupstore.settings import Loaded, Settings, StorageSettings, load

EMPTY = Path(os.devnull)
ENOUGH = {
    "MEDUSA_STORAGE_STORAGE_PROVIDER": "local",
    "MEDUSA_STORAGE_BUCKET_NAME": "b",
    "MEDUSA_STORAGE_BASE_PATH": "/b",
}
REQUIRED = "[storage]\nstorage_provider = local\nbucket_name = b\nbase_path = /b\n"
NOTHING: Mapping[str, str] = {}
SECRETS = [
    ("cassandra", "cql_password"),
    ("cassandra", "nodetool_password"),
    ("cassandra", "sstableloader_tspw"),
    ("cassandra", "sstableloader_kspw"),
    ("storage", "sse_c_key"),
]


def read(
    folder: Path, text: str, environ: Mapping[str, str] = NOTHING, overrides: Mapping[str, str] = NOTHING
) -> Loaded:
    file = folder / "medusa.ini"
    file.write_text(text, encoding="utf-8")
    return load(file, environ, overrides)


def refused(
    folder: Path, text: str, environ: Mapping[str, str] = NOTHING, overrides: Mapping[str, str] = NOTHING
) -> list[str]:
    """The mistakes, with the folder cut from the file's name."""
    with pytest.raises(Misconfigured) as caught:
        read(folder, text, environ, overrides)
    return [problem.replace(f"{folder}/", "") for problem in caught.value.problems]


def test_command_line_before_environment_before_file_before_default(tmp_path: Path) -> None:
    text, environ, overrides = f"{REQUIRED}prefix = file\n", {"MEDUSA_STORAGE_PREFIX": "env"}, {"prefix": "option"}
    assert read(tmp_path, REQUIRED).settings.storage.prefix is None
    assert read(tmp_path, text).settings.storage.prefix == "file"
    assert read(tmp_path, text, environ).settings.storage.prefix == "env"
    assert read(tmp_path, text, environ, overrides).settings.storage.prefix == "option"
    assert read(tmp_path, text, environ, {"prefix": ""}).settings.storage.prefix is None


def test_stocks_variables_go_before_ours_and_the_deprecated_ones_after() -> None:
    old = {**ENOUGH, "CQL_USERNAME": "old", "CQL_PASSWORD": "old"}
    ours = {**old, "MEDUSA_CASSANDRA_CQL_USERNAME": "ours", "MEDUSA_CASSANDRA_CQL_PASSWORD": "ours"}
    stock = {**ours, "MEDUSA_CQL_USERNAME": "stock", "MEDUSA_CQL_PASSWORD": "stock"}
    for environ, name in ((old, "old"), (ours, "ours"), (stock, "stock")):
        loaded = load(EMPTY, environ)
        assert (loaded.settings.cassandra.cql_username, loaded.settings.cassandra.cql_password) == (name, name)
        assert len(loaded.warnings) == (2 if name == "old" else 0)
    assert load(EMPTY, old).warnings[0] == "environment CQL_USERNAME: is deprecated, use MEDUSA_CQL_USERNAME"


def test_stocks_other_variables_and_pod_ip() -> None:
    environ = {
        **ENOUGH,
        "MEDUSA_NODETOOL_USERNAME": "n",
        "MEDUSA_NODETOOL_PASSWORD": "p",
        "MEDUSA_SSTABLELOADER_TSPW": "t",
        "MEDUSA_SSTABLELOADER_KSPW": "k",
        "MEDUSA_CASSANDRA_SSTABLELOADER_TS": "/ts",
        "MEDUSA_CASSANDRA_SSTABLELOADER_KS": "/ks",
        "MEDUSA_RESOLVE_IP_ADDRESSES": "False",
        "POD_IP": "10.0.0.1",
        "MEDUSA_TMP_DIR": "stock's, not a setting",
    }
    loaded = load(EMPTY, environ)
    node = loaded.settings.cassandra
    assert (node.nodetool_username, node.nodetool_password) == ("n", "p")
    assert (node.sstableloader_tspw, node.sstableloader_kspw) == ("t", "k")
    assert node.resolve_ip_addresses is False
    assert loaded.settings.kubernetes.pod_ip == "10.0.0.1"
    assert loaded.settings.storage.fqdn is None
    assert loaded.warnings == ()


def test_each_option_of_the_command_line_has_one_place() -> None:
    overrides = {
        "bucket_name": "other",
        "key_file": "/gcs.json",
        "fqdn": "n1,n2",
        "backup_grace_period_in_days": "3",
        "ssh_username": "me",
        "ssh_key_file": "/id",
    }
    found = load(EMPTY, ENOUGH, overrides).settings
    assert (found.storage.bucket_name, found.storage.key_file, found.storage.fqdn) == (
        "other",
        Path("/gcs.json"),
        "n1,n2",
    )
    assert found.storage.backup_grace_period_in_days == 3
    assert (found.ssh.username, found.ssh.key_file) == ("me", Path("/id"))


@pytest.mark.parametrize(("section", "key"), SECRETS)
def test_secrets_are_shown_nowhere(tmp_path: Path, section: str, key: str) -> None:
    secret = "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE="
    others = "sstableloader_ts = /a\nsstableloader_ks = /a\nsstableloader_tspw = x\nsstableloader_kspw = x\n"
    rest = "" if section == "storage" else "[cassandra]\ncql_username = u\n"
    if key.startswith("sstableloader"):
        rest += others.replace(f"{key} = x\n", "")
    good = read(tmp_path, f"{REQUIRED}{rest}{key} = {secret}\n")
    assert getattr(getattr(good.settings, section), key) == secret
    assert secret not in f"{good!r} {good} {good.settings!r} {getattr(good.settings, section)!s} {good.warnings}"
    # Broken into lines, a secret is a value that goes on, a key that nobody knows (base64 ends in =), and nonsense.
    broken = f"{REQUIRED}{rest}{key} = {secret}\n  {secret}\n{secret}\n{secret.rstrip('=')}\n"
    with pytest.raises(Misconfigured) as caught:
        read(tmp_path, broken)
    assert len(caught.value.problems) == 2
    assert f"{key} = ***" in caught.value.problems[1]
    assert secret[:12].lower() not in caught.value.explained.lower()


def test_settings_cannot_be_changed() -> None:
    found = load(EMPTY, ENOUGH).settings
    for value, name in ((found, "storage"), (found.storage, "prefix"), (found.shipper, "watch")):
        with pytest.raises(FrozenInstanceError):
            setattr(value, name, None)


def test_settings_can_be_made_by_hand() -> None:
    made = Settings(storage=StorageSettings(storage_provider="local", bucket_name="b", base_path=Path("/b")))
    assert made == load(EMPTY, ENOUGH).settings
