"""Where the Go that builds the S3 servers of the tests comes from."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.harness import go_tools
from tests.harness.cache import cache_root
from tests.harness.errors import HarnessError
from tests.harness.go_tools import GO_WHEEL, GoTool


@pytest.fixture
def path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A PATH of its own, an empty cache, and no package index."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    return folder


def program(file: Path, says: str) -> str:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"#!/bin/sh\necho '{says}'\n")
    file.chmod(0o755)
    return str(file)


def fetched() -> str:
    """The Go of PyPI, as it would lie in the cache."""
    return program(cache_root() / GO_WHEEL.replace("==", "-") / "go" / "bin" / "go", "go version go1.27.3 linux/amd64")


@pytest.mark.parametrize("says", ["go version go1.25.0 linux/amd64", "go version go1.30 darwin/arm64"])
def test_the_machines_own_is_taken_when_it_is_new_enough(path: Path, says: str) -> None:
    own = program(path / "go", says)
    fetched()
    assert go_tools.go() == own


@pytest.mark.parametrize("says", [None, "go version go1.19.8 linux/amd64", "Segmentation fault"])
def test_else_the_one_of_pypi(path: Path, says: str | None) -> None:
    if says:
        program(path / "go", says)
    wheel = fetched()
    assert go_tools.go() == wheel


def test_without_either_it_says_what_to_install(path: Path) -> None:
    assert not list(path.iterdir())
    with pytest.raises(HarnessError, match=r"go\.dev") as caught:
        go_tools.installed(GoTool("example.test/server", "v1.0.0"))
    assert GO_WHEEL in str(caught.value)
    assert not [found for found in cache_root().iterdir() if found.is_dir()], "nothing half-made stays"
