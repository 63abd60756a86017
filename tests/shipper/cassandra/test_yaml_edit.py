"""Two keys of a cassandra.yaml are set, and every other byte of it stays."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from backupstore.errors import Misconfigured
from shipper.cassandra.yaml_edit import with_values

PATH = Path("cassandra.yaml")
SET = {"initial_token": '"7,8"', "auto_bootstrap": "false"}
ADDED = "auto_bootstrap: false\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a: 1\ninitial_token: 3 # why\nb: 2\n", 'a: 1\ninitial_token: "7,8" # why\nb: 2\n' + ADDED),
        ("a: 1", 'a: 1\ninitial_token: "7,8"\n' + ADDED),
        ("initial_token:\nb: 2\n", 'initial_token: "7,8"\nb: 2\n' + ADDED),
        ("initial_token:   # none\nb: 2\n", 'initial_token: "7,8"   # none\nb: 2\n' + ADDED),
        ("initial_token : 3\n", 'initial_token: "7,8"\n' + ADDED),
        ('initial_token: >\n  1,\n  2\n\n# c\nb: "x"', 'initial_token: "7,8"\n# c\nb: "x"\n' + ADDED),
        ("initial_token: '1,2'\r\nb: 3\r\n", 'initial_token: "7,8"\r\nb: 3\r\n' + ADDED),
        ("initial_token: 1,\n  2,\n  3\nb: 1\n", 'initial_token: "7,8"\nb: 1\n' + ADDED),
        ("auto_bootstrap: true\ninitial_token: 1\n", 'auto_bootstrap: false\ninitial_token: "7,8"\n'),
        ("# initial_token: 1\na: 1\n", '# initial_token: 1\na: 1\ninitial_token: "7,8"\n' + ADDED),
        ("a:\n    initial_token: 1\n", 'a:\n    initial_token: 1\ninitial_token: "7,8"\n' + ADDED),
        ("---\na: é日 # 🜁\ninitial_token: 1\n", '---\na: é日 # 🜁\ninitial_token: "7,8"\n' + ADDED),
        ("\ufeffinitial_token: 1\nb: yes\n", '\ufeffinitial_token: "7,8"\nb: yes\n' + ADDED),
    ],
)
def test_only_the_values_change(before: str, after: str) -> None:
    assert with_values(PATH, before, SET) == after
    assert with_values(PATH, after, SET) == after


@pytest.mark.parametrize(
    "text", ["", "# nothing\n", "a: 1\n...\n", "{a: 1}\n", "- a\n", "a: [\n", "a: 1\na: 2\n", "\0"]
)
def test_what_is_not_understood_is_left_alone(text: str) -> None:
    with pytest.raises(Misconfigured, match=r"cassandra\.yaml cannot be changed") as caught:
        with_values(PATH, text, SET)
    assert "one key a line" in caught.value.hint


_LINES = st.lists(
    st.sampled_from(
        [
            "# a comment: here",
            "",
            "cluster_name: 'Test: Cluster'",
            "initial_token: 1",
            "initial_token:",
            "initial_token: |\n    1,2",
            "auto_bootstrap: true # no",
            "seed_provider:\n    - class_name: x\n      parameters:\n          - seeds: '1,2'",
            "data_file_directories: [/a, /b]",
            "x: >-\n  folded\n\n  more",
        ]
    ),
    unique_by=lambda line: line.partition(":")[0],
)


@given(lines=_LINES, end=st.sampled_from(["", "\n", "\n\n"]))
def test_everything_else_means_what_it_meant(lines: list[str], end: str) -> None:
    text = "\n".join(lines) + end
    before = YAML(typ="safe", pure=True).load(text) or {}
    if not before:
        return
    edited = with_values(PATH, text, SET)
    after = YAML(typ="safe", pure=True).load(edited)
    assert after == {**before, "initial_token": "7,8", "auto_bootstrap": False}
    for line in lines:
        if not line.startswith(("initial_token", "auto_bootstrap")):
            assert line in edited
