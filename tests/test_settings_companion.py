"""What is only ours stands in a companion beside medusa.ini, because stock Medusa stops at a section of ours."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from backupstore.errors import Misconfigured
from backupstore.settings import load
from backupstore.settings.files import companion_of
from tests.harness.stock import Stock
from tests.test_settings import ENOUGH, NOTHING, REQUIRED, read, refused
from tests.test_settings_document import EXAMPLE, OURS


def beside(folder: Path, text: str) -> None:
    (folder / "medusa-shipper.ini").write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    ("main", "companion"),
    [
        ("/etc/medusa/medusa.ini", "/etc/medusa/medusa-shipper.ini"),
        ("cluster.a.conf", "cluster.a-shipper.conf"),
        ("/x/medusa", "/x/medusa-shipper"),
    ],
)
def test_the_companion_has_its_name_from_the_file(main: str, companion: str) -> None:
    assert companion_of(Path(main)) == Path(companion)


def test_ours_may_stand_in_either_file(tmp_path: Path) -> None:
    beside(tmp_path, "[shipper]\nwatch = poll\n")
    loaded = read(tmp_path, f"{REQUIRED}[shipper]\npoll_interval = 5\n")
    assert (loaded.settings.shipper.watch, loaded.settings.shipper.poll_interval) == ("poll", 5)
    assert loaded.warnings == ()


def test_environment_goes_before_the_companion(tmp_path: Path) -> None:
    beside(tmp_path, "[shipper]\nwatch = poll\n")
    assert read(tmp_path, REQUIRED, {"MEDUSA_SHIPPER_WATCH": "events"}).settings.shipper.watch == "events"


def test_the_companion_counts_where_the_main_file_is_replaced_by_variables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backupstore.settings.loading.DEFAULT_FILE", tmp_path / "medusa.ini")
    beside(tmp_path, "[shipper]\nwatch = poll\n")
    assert load(None, ENOUGH).settings.shipper.watch == "poll"


def test_mistakes_of_both_files_are_named_at_once(tmp_path: Path) -> None:
    beside(
        tmp_path, "above = 1\n[shipper]\npoll_interval = 0\nnonsense\n[storage]\nprefix = p\n[shiper]\n[x\x1b]\na = 1\n"
    )
    problems = refused(tmp_path, "[storage]\nstorage_provider = local\nbucket_name = a/b\nnonsense\nbase_path = /b\n")
    starts = [
        "medusa.ini:4: is neither",
        "medusa-shipper.ini:1: stands above the first [section]",
        "medusa-shipper.ini:4: is neither",
        "medusa-shipper.ini:5: [storage] belongs in medusa.ini; only [shipper] may stand here",
        "medusa-shipper.ini:7: [shiper] may not stand here, only [shipper]; did you mean that?",
        "medusa-shipper.ini:8: [***] belongs in medusa.ini",
        "medusa.ini:3: [storage] bucket_name = a/b: would not be one part of a path",
        "medusa-shipper.ini:3: [shipper] poll_interval = 0: is too small",
    ]
    assert len(problems) == len(starts)
    assert not [(found, start) for found, start in zip(problems, starts, strict=True) if not found.startswith(start)]


def test_what_stands_in_the_wrong_file_is_not_obeyed(tmp_path: Path) -> None:
    beside(tmp_path, "[storage]\nbucket_name = b\n")
    misplaced, missing = refused(tmp_path, "[storage]\nstorage_provider = s3\n")
    assert misplaced == "medusa-shipper.ini:1: [storage] belongs in medusa.ini; only [shipper] may stand here"
    assert missing.startswith("medusa.ini: [storage] bucket_name: is missing")


def test_the_hint_names_the_files_to_correct(tmp_path: Path) -> None:
    beside(tmp_path, "[shipper]\nwatch = 1\n")
    main, companion = tmp_path / "medusa.ini", tmp_path / "medusa-shipper.ini"
    for text, names in ((REQUIRED, f"{companion}"), ("", f"{main} and {companion}")):
        with pytest.raises(Misconfigured) as caught:
            read(tmp_path, text)
        assert caught.value.hint.startswith(f"Correct {names} (")


def test_a_key_in_both_files_is_a_mistake_that_names_both_places(tmp_path: Path) -> None:
    beside(tmp_path, "[shipper]\n\nwatch = poll\n")
    (problem,) = refused(tmp_path, f"{REQUIRED}[shipper]\nWATCH = poll\n", {"MEDUSA_SHIPPER_WATCH": "events"})
    assert problem.startswith("medusa-shipper.ini:3: [shipper] watch stands in medusa.ini:6 too; keep one of them")


def test_an_unknown_key_of_the_companion_is_warned_about(tmp_path: Path) -> None:
    beside(tmp_path, "[shipper]\npole_interval = 3\n")
    (warning,) = read(tmp_path, REQUIRED).warnings
    assert "medusa-shipper.ini:2: [shipper] pole_interval: is no key we know" in warning


def test_a_companion_that_cannot_be_read_is_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "medusa-shipper.ini").mkdir()
    (problem,) = refused(tmp_path, REQUIRED)
    assert problem.startswith("medusa-shipper.ini: cannot be read")


# ---------------------------------------------------------------- stock


def for_stock(folder: Path, more: str = "") -> Path:
    """The example as it stands, for an empty bucket in the folder, with its companion beside it."""
    text = EXAMPLE.read_text(encoding="utf-8")
    text = re.sub(r"^base_path = .*$", f"base_path = {folder}", text, flags=re.MULTILINE)
    text = re.sub(r"^bucket_name = .*$", "bucket_name = empty", text, flags=re.MULTILINE)
    (folder / "empty").mkdir()
    (folder / "example.ini").write_text(text + more, encoding="utf-8")
    companion_of(folder / "example.ini").write_bytes(OURS.read_bytes())
    return folder / "example.ini"


def stock_with(file: Path, *command: str) -> tuple[int, str]:
    """Run stock with this file: of two --config-file it takes the last."""
    stock = Stock(work=file.parent / "stock", base_path=file.parent, bucket="empty")
    done = stock.run("-v", "--config-file", str(file), *command)
    return done.exit_code, done.stdout + done.stderr


@pytest.mark.stock
def test_stock_reads_the_example_and_lists_an_empty_bucket(tmp_path: Path) -> None:
    file = for_stock(tmp_path)
    exit_code, said = stock_with(file, "list-backups", "--show-all")
    assert exit_code == 0, said
    assert f"Loading configuration from {file}" in said
    assert "No backups found" in said
    assert load(file, {}).settings.storage.bucket_name == "empty"


@pytest.mark.stock
def test_stock_stops_at_a_section_of_ours(tmp_path: Path) -> None:
    """Why there is a companion. The same file is good for us."""
    file = for_stock(tmp_path, "\n[shipper]\nwatch = poll\n")
    exit_code, said = stock_with(file, "list-backups", "--show-all")
    assert exit_code != 0
    assert "KeyError: 'shipper'" in said
    assert load(file, {}).settings.shipper.watch == "poll"


# ---------------------------------------------------------------- mounted logins


def secret(folder: Path, **files: str) -> Path:
    folder.mkdir()
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def login(folder: Path, environ: Mapping[str, str] = NOTHING) -> tuple[str | None, str | None]:
    found = load(folder / "medusa.ini", environ).settings.cassandra
    return found.cql_username, found.cql_password


def test_a_mounted_login_goes_before_every_other_one_as_in_stock(tmp_path: Path) -> None:
    cql = secret(tmp_path / "cql", username="u\n", password=" p#;%\n")
    jmx = secret(tmp_path / "jmx", username="n", password="q")
    read(tmp_path, f"{REQUIRED}[cassandra]\ncql_username = x\ncql_password = x\ncql_k8s_secrets_path = {cql}\n")
    assert login(tmp_path) == ("u", "p#;%")
    assert login(tmp_path, {"MEDUSA_CQL_USERNAME": "env"}) == ("u", "p#;%")
    assert login(tmp_path, {"MEDUSA_CQL_K8S_SECRETS_PATH": ""}) == ("x", "x")
    found = load(tmp_path / "medusa.ini", {"MEDUSA_NODETOOL_K8S_SECRETS_PATH": str(jmx)}).settings.cassandra
    assert (found.nodetool_username, found.nodetool_password) == ("n", "q")


def test_a_mounted_login_that_cannot_be_used_is_a_mistake_without_the_secret(tmp_path: Path) -> None:
    empty = secret(tmp_path / "cql", username="\n")
    two = secret(tmp_path / "jmx", username="n\x01", password="hidden\nsecond")
    text = f"{REQUIRED}[cassandra]\ncql_k8s_secrets_path = {empty}\nnodetool_k8s_secrets_path = {two}\n"
    with pytest.raises(Misconfigured) as caught:
        read(tmp_path, text)
    said = [line.replace(f"{tmp_path}/", "") for line in caught.value.problems]
    assert said[:3] == [
        "medusa.ini:6: [cassandra] cql_k8s_secrets_path = cql: the file username there: is empty",
        "medusa.ini:6: [cassandra] cql_k8s_secrets_path = cql: the file password there: No such file or directory",
        "medusa.ini:7: [cassandra] nodetool_k8s_secrets_path = jmx: the file password there: holds more than one line",
    ]
    assert said[3].startswith("medusa.ini:7, the file username: [cassandra] nodetool_username = ")
    assert len(said) == 4
    assert "hidden" not in caught.value.explained
