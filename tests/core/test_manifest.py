"""The manifest: both ways, cut anywhere, in flat memory, and hostile."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backupstore.core import json_window, manifest
from backupstore.core.keys import DataKey
from backupstore.core.layout import Layout
from backupstore.core.manifest import Entry, Item, TableSection, Totals, check_entry, read_manifest, write_manifest
from backupstore.errors import Corrupt, Refused
from tests.core.strategies import manifests

KEY = "p/n1/b/meta/manifest.json"
T = "t-" + "0" * 32
SOUND: dict[str, Any] = {"path": "p/n1/data/ks/x", "MD5": None, "size": 4}


def section(*objects: object, **fields: object) -> dict[str, Any]:
    return {"keyspace": "ks", "columnfamily": T, "objects": list(objects), **fields}


def read(body: bytes) -> list[Item]:
    return list(read_manifest([body], KEY))


def refusal(*pieces: bytes) -> str:
    with pytest.raises(Corrupt) as caught:
        list(read_manifest(pieces, KEY))
    assert caught.value.key == KEY
    assert caught.value.hint
    return caught.value.message


def as_stock_has_it(items: list[Item]) -> list[dict[str, Any]]:
    sections: list[dict[str, Any]] = []
    for item in items:
        if isinstance(item, TableSection):
            sections.append({"keyspace": item.keyspace, "columnfamily": item.table, "objects": []})
        else:
            ours = {"sha256": item.sha256, "corrupt": item.corrupt, "disk": item.disk}
            known = {name: value for name, value in ours.items() if value is not None}
            sections[-1]["objects"].append({"path": item.path, "MD5": item.md5, "size": item.size, **known})
    return sections


@given(manifests())
def test_what_is_written_is_what_stock_would_write_and_is_read_back(items: list[Item]) -> None:
    body = b"".join(write_manifest(items))
    assert body == json.dumps(as_stock_has_it(items)).encode()
    assert read(body) == items


@given(manifests(), st.sampled_from([None, 1, "\t"]), st.booleans())
def test_any_spelling_of_json_is_read(items: list[Item], indent: int | str | None, ascii_only: bool) -> None:  # noqa: FBT001 # drawn
    assert read(json.dumps(as_stock_has_it(items), indent=indent, ensure_ascii=ascii_only).encode()) == items


MANY = json.dumps(
    [
        {"unknown": [1, {"a": "}]"}], **section({**SOUND, "extra": {"x": ["}", "]"]}}, SOUND, late=None)},
        {"columnfamily": "u", "objects": [SOUND, {**SOUND, "path": "é}],{日🗝"}], "keyspace": "ks"},
        {"objects": [], "keyspace": "ks", "columnfamily": "v"},
    ],
    ensure_ascii=False,
).encode()


def test_a_manifest_may_be_cut_anywhere() -> None:
    whole = read(MANY)
    assert len(whole) == 7
    for cut in range(len(MANY) + 1):
        assert list(read_manifest([MANY[:cut], MANY[cut:]], KEY)) == whole
    assert list(read_manifest([MANY[at : at + 1] for at in range(len(MANY))], KEY)) == whole
    assert list(read_manifest([b"", MANY, b" \n"], KEY)) == whole


def test_every_leading_part_is_refused() -> None:
    for cut in range(len(MANY)):
        refusal(MANY[:cut])


def test_of_equal_names_in_an_object_the_last_one_counts() -> None:
    body = b'[{"keyspace": "a", "keyspace": "ks", "columnfamily": "t", "objects": [{"path": "x", "MD5": "", "size": 1, "size": 2}]}]'
    assert read(body) == [TableSection("ks", "t"), Entry("ks", "t", "x", 2, "")]


HOSTILE: dict[str, tuple[object, str]] = {
    "nothing": (b"", "ends too early"),
    "an object": (b"{}", "not an array"),
    "a number": (b"7", "not an array"),
    "trailing text": (b"[] x", "more after"),
    "two arrays": (b"[][]", "more after"),
    "a section that is a string": (["x"], "not an object"),
    "a comma too many": (b'[{"keyspace":"k","columnfamily":"t","objects":[]},]', "not an object"),
    "no comma": (b'[{"keyspace":"k","columnfamily":"t","objects":[]}{}]', "expected ','"),
    "no objects": ([{"keyspace": "k", "columnfamily": "t"}], "no 'objects'"),
    "no keyspace": ([{"columnfamily": "t", "objects": []}], "'keyspace'"),
    "no table": ([{"keyspace": "t", "objects": []}], "'columnfamily'"),
    "an empty section": ([{}], "no 'objects'"),
    "a keyspace that climbs": ([section(keyspace="../x")], "'keyspace'"),
    "a table that climbs": ([section(columnfamily="..")], "'columnfamily'"),
    "a keyspace that is a number": ([section(keyspace=1)], "'keyspace'"),
    "a table that is a list": ([section(columnfamily=["t"])], "'columnfamily'"),
    "objects that are an object": ([section(objects={})], "not an array"),
    "objects that are null": ([section(objects=None)], "not an array"),
    "an object that is a number": ([section(1)], "not an object"),
    "an object that is a list": ([section([SOUND])], "not an object"),
    "no path": ([section({"MD5": None, "size": 1})], "'path'"),
    "an empty path": ([section({**SOUND, "path": ""})], "'path'"),
    "a path that is null": ([section({**SOUND, "path": None})], "'path'"),
    "a path with half a character": ([section({**SOUND, "path": "\ud800"})], "'path'"),
    "no size": ([section({"path": "x", "MD5": None})], "'size'"),
    "a negative size": ([section({**SOUND, "size": -1})], "'size'"),
    "a bool for a size": ([section({**SOUND, "size": True})], "'size'"),
    "a float for a size": ([section({**SOUND, "size": 1.0})], "'size'"),
    "a text for a size": ([section({**SOUND, "size": "1"})], "'size'"),
    "a size beyond all disks": ([section({**SOUND, "size": 2**63})], "'size'"),
    "a size of many digits": (
        b'[{"keyspace":"k","columnfamily":"t","objects":[{"size":' + b"9" * 5000 + b"}]}]",
        "JSON",
    ),
    "a size that is not a number": ([section({**SOUND, "size": float("nan")})], "NaN"),
    "an unknown field beyond numbers": ([section(x=float("-inf"))], "Infinity"),
    "no MD5": ([section({"path": "x", "size": 1})], "'MD5'"),
    "an MD5 that is a number": ([section({**SOUND, "MD5": 1})], "'MD5'"),
    "a short sha256": ([section({**SOUND, "sha256": "ab"})], "'sha256'"),
    "a sha256 in capitals": ([section({**SOUND, "sha256": "A" * 64})], "'sha256'"),
    "a corrupt that is true": ([section({**SOUND, "corrupt": True})], "'corrupt'"),
    "a disk that is negative": ([section({**SOUND, "disk": -1})], "'disk'"),
    "a disk that is true": ([section({**SOUND, "disk": True})], "'disk'"),
    "a repeated section": ([section(), section()], "two sections"),
    "objects twice": (b'[{"keyspace":"k","columnfamily":"t","objects":[],"objects":[]}]', "twice"),
    "a section renamed": (b'[{"keyspace":"k","columnfamily":"t","objects":[],"keyspace":"l"}]', "renamed"),
    "an object missing": (
        b'[{"keyspace":"k","columnfamily":"t","objects":[{"path":"x","MD5":null,"size":1},]}]',
        "missing",
    ),
    "no comma between objects": (b'[{"keyspace":"k","columnfamily":"t","objects":[1 2]}]', "not an object"),
    "no JSON": (b'[{"keyspace":"k","columnfamily":"t","objects":[{"path":x}]}]', "no JSON"),
    "a name that is a number": (b"[{1:2}]", "name of a field"),
    "no colon": (b'[{"keyspace" "k"}]', "':'"),
    "no UTF-8": (b'[{"keyspace":"\xff"}]', "UTF-8"),
    "half of UTF-8": (b"[] \xc3", "UTF-8"),
    "a byte order mark": (b"\xef\xbb\xbf[]", "not an array"),
    "a long value": ([section({**SOUND, "path": "x" * 70_000})], "longer than"),
    "a long field": ([section(x="x" * 70_000)], "longer than"),
    "an endless text": (b'[{"keyspace":"' + b"x" * 200_000, "longer than"),
    "deep lists": (b'[{"x":' + b"[" * 60_000, "nested too deeply"),
    "deep objects": (
        b'[{"keyspace":"k","columnfamily":"t","objects":[' + b'{"a":' * 10_000 + b"}",
        "nested too deeply",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_manifest_is_corrupt(name: str) -> None:
    body, reason = HOSTILE[name]
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    message = refusal(text)
    assert reason in message
    assert "at character" in message
    step = max(1, len(text) // 40)
    for cut in range(0, len(text), step):
        assert refusal(text[:cut], text[cut:]) == message, "what is wrong depends on how the bytes came"


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_corrupt(body: bytes) -> None:
    try:
        read(b'[{"keyspace":"k","columnfamily":"t","objects":[' + body)
    except Corrupt:
        return
    assert body.endswith(b"]")


def test_objects_before_their_names_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    early = {"objects": [SOUND] * 5, "keyspace": "ks", "columnfamily": "t"}
    assert len(read(json.dumps([early]).encode())) == 6
    monkeypatch.setattr(manifest, "EARLY_OBJECTS", 4)
    assert "too many objects" in refusal(json.dumps([early]).encode())


def test_tables_are_not_without_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest, "SECTIONS", 2)
    body = json.dumps([section(columnfamily=f"t{number}") for number in range(3)]).encode()
    assert "more than 2 tables" in refusal(body)


def endless(number: int) -> Iterator[Item]:
    yield TableSection("ks", T)
    for position in range(number):
        yield Entry("ks", T, f"p/n1/data/ks/{T}/nb-{position}-big-Data.db", position, None, "0" * 64)


def test_a_manifest_streams_in_flat_memory() -> None:
    number = 40_000
    tracemalloc.start()
    try:
        totals = Totals().plus(read_manifest(write_manifest(endless(number)), KEY))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert totals == Totals(size=number * (number - 1) // 2, objects=number, tables=1)
    assert peak < 3 << 20


def test_objects_that_defeat_the_fast_way_cost_no_more_than_a_window_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    decode = json_window._decode

    def counting(text: str, at: int = 0) -> tuple[object, int]:
        calls.append(len(text))
        return decode(text, at)

    monkeypatch.setattr(json_window, "_decode", counting)
    awkward = {**SOUND, "x": {"a": "}" * 40}}
    body = json.dumps([section(*[awkward] * 3000)]).encode()
    assert len(read(body)) == 3001
    copied = sum(length for length in calls if length <= json_window.LIMIT + 2)
    assert copied < 3 * len(body)


# ---------------------------------------------------------------- writing and totals


def test_pieces_are_of_moderate_size() -> None:
    sizes = [len(piece) for piece in write_manifest(endless(3000))]
    assert len(sizes) > 5
    assert max(sizes) < 66_000


@pytest.mark.parametrize(
    "items",
    [
        [TableSection("ks", "t"), TableSection("ks", "t")],
        [Entry("ks", "t", "x", 1)],
        [TableSection("ks", "t"), Entry("ks", "u", "x", 1)],
    ],
)
def test_a_manifest_out_of_order_is_not_written(items: list[Item]) -> None:
    with pytest.raises(Refused):
        list(write_manifest(items))


def test_totals_count_bad_components() -> None:
    items: list[Item] = [TableSection("ks", "t"), Entry("ks", "t", "x", 3), Entry("ks", "t", "y", 4, corrupt="bit rot")]
    assert Totals().plus(items) == Totals(size=7, objects=2, corrupt=1, tables=1)


# ---------------------------------------------------------------- paths


def entry(path: str) -> Entry:
    return Entry("ks", T, path, 1)


def test_an_entry_names_data_of_its_node() -> None:
    layout = Layout("p")
    file = "nb-1-big-Data.db"
    assert check_entry(layout, "n1", entry(f"p/n1/data/ks/{T}/{file}")) == DataKey("n1", "ks", T, file)
    assert check_entry(layout, "n1", entry(f"p/n1/data/ks/{T}/.i/{file}")) == DataKey("n1", "ks", T, file, ".i")
    full = entry(f"p/n1/b/data/ks/{T}/{file}")
    assert check_entry(layout, "n1", full, backup="b") == DataKey("n1", "ks", T, file, backup="b")
    versioned = entry(f"p/n1/data-v/0-b-1/ks/{T}/{file}")
    assert check_entry(layout, "n1", versioned, backup="b") == DataKey("n1", "ks", T, file, version="0-b-1")


@pytest.mark.parametrize(
    "path",
    [
        "../../etc/passwd",
        "/etc/passwd",
        f"p/n1/data/ks/{T}/../x",
        f"p/n1/data/ks/{T}/a\x00b",
        f"p/n2/data/ks/{T}/a-Data.db",
        f"p/n1/data/ks2/{T}/a-Data.db",
        f"p/n1/data/ks/{T}1/a-Data.db",
        f"n1/data/ks/{T}/a-Data.db",
        f"q/n1/data/ks/{T}/a-Data.db",
        f"p/n1/other/data/ks/{T}/a-Data.db",
        "p/n1/b/meta/schema.cql",
        "p/index/catalog/head.json",
        "x" * 5000,
    ],
)
def test_an_entry_names_nothing_else(path: str) -> None:
    with pytest.raises(Corrupt) as caught:
        check_entry(Layout("p"), "n1", entry(path), backup="b")
    assert len(caught.value.message) < 500
