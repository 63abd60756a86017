"""Every mistake is named at once, where it stands; and no file brings anything but settings or ``Misconfigured``."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from backupstore.errors import Misconfigured
from backupstore.settings import load, loading
from tests.test_settings import ENOUGH, REQUIRED, read, refused


def test_every_mistake_is_named_at_once_where_it_stands(tmp_path: Path) -> None:
    text = """\
above = 1
[storage]
storage_provider = tape
; a comment
bucket_name = a/b

max_backup_age = -1
nonsense
[checks]
health_check = thrift
health_check = cql
[storage]
prefix = other
[DEFAULT]
fqdn = x
"""
    problems = refused(
        tmp_path, text, {"MEDUSA_SHIPPER_WATCH": "no", "MEDUSA_CQL_PASSWORD": "a\nb"}, {"fqdn": "/", "prefx": "p"}
    )
    starts = [
        "medusa.ini:1: stands above the first [section]",
        "medusa.ini:8: is neither",
        "medusa.ini:11: [checks] health_check stands in the section already",
        "medusa.ini:12: [storage] stands in line 2 already",
        "medusa.ini:14: [DEFAULT] is not supported",
        "--prefx: sets nothing; did you mean prefix?",
        "medusa.ini:3: [storage] storage_provider = tape: is no storage provider, allowed: local, ",
        "medusa.ini:5: [storage] bucket_name = a/b: would not be one part of a path, allowed: a name without '/'",
        "--fqdn: [storage] fqdn = /: is no name of a node, allowed: ",
        "medusa.ini:7: [storage] max_backup_age = -1: is too small, allowed: a whole number, at least 0",
        "environment MEDUSA_CQL_PASSWORD: [cassandra] cql_password = ***: goes on in the next line",
        "medusa.ini:10: [checks] health_check = thrift: there is no Thrift",
        "environment MEDUSA_SHIPPER_WATCH: [shipper] watch = no: is none of them, allowed: auto, events, poll",
    ]
    assert len(problems) == len(starts)
    assert not [(found, start) for found, start in zip(problems, starts, strict=True) if not found.startswith(start)]


def test_a_missing_value_is_named_and_a_misspelled_key_is_the_hint(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured) as caught:
        read(tmp_path, "[storage]\nstorage_provider = s3\nbuket_name = b\n")
    assert caught.value.message.endswith("medusa.ini: [storage] bucket_name: is missing, allowed: a name without '/'")
    assert (
        "medusa.ini:3: [storage] buket_name: is no key we know, and is ignored; did you mean bucket_name?"
        in caught.value.hint
    )
    assert caught.value.exit_code == 2


def test_what_is_unknown_is_only_warned_about(tmp_path: Path) -> None:
    text = f"{REQUIRED}cql_username = u\n[kasandra]\nx = 1\n[shipper]\npole_interval = 3\nqqq = 1\n"
    warnings = read(tmp_path, text, {"MEDUSA_STORAGE_PREFX": "x"}).warnings
    assert [line.replace(f"{tmp_path}/", "") for line in warnings] == [
        "medusa.ini:6: [kasandra] is no section we know, and is ignored; did you mean cassandra?",
        "medusa.ini:5: [storage] cql_username: is no key we know, and is ignored; it belongs in [cassandra]",
        "medusa.ini:9: [shipper] pole_interval: is no key we know, and is ignored; did you mean poll_interval?",
        "medusa.ini:10: [shipper] qqq: is no key we know, and is ignored",
        "environment MEDUSA_STORAGE_PREFX: sets nothing; did you mean MEDUSA_STORAGE_PREFIX?",
    ]


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        ("[grpc]\nenabled = 1\n", "medusa.ini:6: [grpc] enabled = 1: is not obeyed"),
        ("[cassandra]\ncql_username = u\n", "medusa.ini:6: [cassandra] cql_username = u: is not used"),
        ("[cassandra]\ncql_password = p\n", "medusa.ini:6: [cassandra] cql_username: is not used"),
        (
            "[shipper]\ncommand_queue = https://a/q\n",
            "medusa.ini:6: [shipper] command_queue = https://a/q: is not used",
        ),
    ],
)
def test_what_is_not_obeyed_is_warned_about(tmp_path: Path, text: str, warning: str) -> None:
    (line,) = read(tmp_path, REQUIRED + text).warnings
    assert line.replace(f"{tmp_path}/", "").startswith(warning)


def test_a_relative_base_path_is_warned_about(tmp_path: Path) -> None:
    (line,) = read(tmp_path, REQUIRED.replace("/b", "b")).warnings
    assert "depends on the directory the program is started in" in line


def test_a_duplicate_does_not_hide_or_change_its_neighbours(tmp_path: Path) -> None:
    text = "[storage]\nbucket_name = b\n  bucket_name = c\n"
    text += "[checks]\nquery = a\n[checks]\nbogus = 1\nquery = b\n query = c\n"
    problems = refused(tmp_path, text)
    assert [problem.split(":")[1] for problem in problems] == ["6", " [storage] storage_provider", "2"]


def test_more_mistakes_than_anyone_reads_do_not_take_forever(tmp_path: Path) -> None:
    problems = refused(tmp_path, "[checks]\n" * 5000)
    assert len(problems) <= 110
    assert "there may be more" in "\n".join(problems)


# ---------------------------------------------------------------- files


def test_a_file_that_was_named_must_exist(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"nowhere\.ini: does not exist"):
        load(tmp_path / "nowhere.ini", ENOUGH)


def test_without_the_default_file_the_way_to_one_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "DEFAULT_FILE", tmp_path / "default.ini")
    with pytest.raises(Misconfigured, match=r"default\.ini: does not exist") as caught:
        load(None, {})
    assert "medusa-example.ini" in caught.value.hint
    assert len(caught.value.problems) == 3
    assert load(None, ENOUGH).settings.storage.bucket_name == "b"
    (tmp_path / "default.ini").write_text(REQUIRED, encoding="utf-8")
    assert load(None, {}).settings.storage.bucket_name == "b"


@pytest.mark.parametrize(
    ("content", "complaint"),
    [(b"[storage]\n\xff", "is no UTF-8 text"), (b"[storage]\n\0", "NUL")],
)
def test_what_is_no_text_is_refused(tmp_path: Path, content: bytes, complaint: str) -> None:
    (tmp_path / "odd.ini").write_bytes(content)
    with pytest.raises(Misconfigured, match=complaint):
        load(tmp_path / "odd.ini", ENOUGH)


def test_a_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="cannot be read"):
        load(tmp_path, ENOUGH)


LINES = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        [
            "[storage]",
            "[shipper]",
            "[cassandra]",
            "[checks]",
            "[DEFAULT]",
            "[\x1b]",
            "[",
            "]",
            "[]",
            "=",
            " = x",
            "prefix",
            "  indented",
        ]
    ),
    st.builds(
        "{}{}{}{}".format,
        st.sampled_from(["", " ", "\t", ";"]),
        st.sampled_from(
            ["prefix", "bucket_name", "start_cmd", "query", "sse_c_key", "storage_provider", "port", "format", "watch"]
        ),
        st.sampled_from([" = ", "=", ":", " "]),
        st.text(max_size=12),
    ),
)


@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(lines=["[0]", "\x1b:", "\x1b:"], ours=["[shipper]", "\x1b:", "[\x1b]"], ending="\n")
@given(
    lines=st.lists(LINES, max_size=12),
    ours=st.lists(LINES, max_size=6),
    ending=st.sampled_from(["\n", "\r\n", "\r", "\f"]),
)
def test_no_file_brings_anything_but_settings_or_misconfigured(
    tmp_path: Path, lines: list[str], ours: list[str], ending: str
) -> None:
    file, beside = tmp_path / "fuzz.ini", tmp_path / "fuzz-shipper.ini"
    file.write_bytes(ending.join(lines).encode("utf-8", "surrogatepass"))
    beside.write_bytes(ending.join(ours).encode("utf-8", "surrogatepass"))
    try:
        loaded = load(file, ENOUGH)
    except Misconfigured as refusal:
        said = (*refusal.problems, refusal.hint.replace("\n", ""))
    else:
        said = loaded.warnings
        assert loaded.settings.storage.bucket_name
    assert not [line for line in said if not (str(file) in line or str(beside) in line) or not line.isprintable()]
