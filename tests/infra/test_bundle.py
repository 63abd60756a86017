"""The zips that are deployed: the same bytes each time, and nothing is missing in them."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from infra import bundle
from infra.bundle import FUNCTIONS, Bundle, BundleError, Runtime
from tests.harness.gcp_runtime import served

ROOT = Path(__file__).resolve().parents[2]
HERE = f"{sys.version_info.major}.{sys.version_info.minor}"
"""Bundled for the Python that runs the tests, so that it can run them."""
OURS = {"backupstore", "functions", "main"}

# Nothing but Python's own library and what was unpacked: no site-packages (-S), no environment, no current folder (-I).
STARTED = """
import importlib, sys
sys.path[:0] = sys.argv[2:]
assert callable(importlib.import_module(sys.argv[1]).handler)
print(*sys.modules)
"""
CLIENTS = """
import sys
sys.path[:0] = sys.argv[1:]
import boto3
for service in ("secretsmanager", "sqs", "ssm", "sts"):
    print(boto3.session.Session().client(service, region_name="us-east-1").meta.service_model.service_name)
"""


def run(*arguments: str, **around: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, **around},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def alone(text: str, *arguments: str) -> str:
    return run("-I", "-S", "-B", "-c", text, *arguments)


def names(path: Path) -> list[str]:
    with zipfile.ZipFile(path) as archive:
        return archive.namelist()


def unpacked(made: Path, name: str, folder: Path) -> Path:
    with zipfile.ZipFile(made / f"{name}.zip") as archive:
        archive.extractall(folder)
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All of them."""
    into = tmp_path_factory.mktemp("functions")
    said = run("-m", "infra.bundle", "--python", HERE, "--into", str(into))
    assert len(said.splitlines()) == 2 * len(FUNCTIONS)
    return into


@pytest.fixture(scope="module")
def installed(made: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """What Google installs when it builds these functions: what their requirements.txt name, and nothing else."""
    found, places = {}, dict[bytes, Path]()
    for function in FUNCTIONS:
        with zipfile.ZipFile(made / f"gcp-{function}.zip") as archive:
            wanted = archive.read("requirements.txt")
        if wanted not in places:
            folder = places[wanted] = tmp_path_factory.mktemp("installed")
            (folder / "requirements.txt").write_bytes(wanted)
            exactly = ("--require-hashes", "--no-deps", "--only-binary", ":all:", "--python", sys.executable)
            wish = ("-r", str(folder / "requirements.txt"), "--target", str(folder / "packages"))
            run("-m", "uv", "pip", "install", "--quiet", *exactly, *wish)
        found[function] = places[wanted] / "packages"
    return found


def test_the_sums_are_those_of_the_zips(made: Path) -> None:
    lines = (made / "SHA256SUMS").read_text().splitlines()
    assert {line.split()[1] for line in lines} == {
        f"{cloud}-{function}.zip" for cloud in ("aws", "gcp") for function in FUNCTIONS
    }
    for line in lines:
        digest, name = line.split()
        assert hashlib.sha256((made / name).read_bytes()).hexdigest() == digest


@pytest.mark.parametrize("name", ["aws-indexer", "gcp-coordinator"])
def test_the_same_sources_give_the_same_bytes(made: Path, tmp_path: Path, name: str) -> None:
    """In another folder, with another umask, time zone, language and order of hashes."""
    around = {"TZ": "Pacific/Kiritimati", "LC_ALL": "C", "PYTHONHASHSEED": "7"}
    before = os.umask(0o077)
    try:
        run("-m", "infra.bundle", name, "--python", HERE, "--into", str(tmp_path / "again"), **around)
    finally:
        os.umask(before)
    assert (tmp_path / "again" / f"{name}.zip").read_bytes() == (made / f"{name}.zip").read_bytes()


@pytest.mark.parametrize("function", FUNCTIONS)
def test_on_aws_it_starts_with_nothing_else_on_the_path(made: Path, tmp_path: Path, function: str) -> None:
    folder = unpacked(made, f"aws-{function}", tmp_path)
    modules = set(alone(STARTED, f"functions.{function}.handler_aws", str(folder)).split())
    assert "aws_lambda_powertools" in modules
    assert not {"aws_xray_sdk", "grpc", "google", "requests", "jinja2"} & modules, "no call uses these"
    assert alone(CLIENTS, str(folder)).split() == ["secretsmanager", "sqs", "ssm", "sts"]


@pytest.mark.parametrize(
    ("function", "grpc"),
    [("coordinator", False), ("indexer", False), ("purge", True), ("report", False), ("verify", True)],
)
def test_at_google_it_starts_with_what_its_requirements_bring(
    made: Path,
    installed: dict[str, Path],
    tmp_path: Path,
    function: str,
    grpc: bool,  # noqa: FBT001 -- a column of the table above
) -> None:
    folder = unpacked(made, f"gcp-{function}", tmp_path)
    modules = set(alone(STARTED, "main", str(folder), str(installed[function])).split())
    assert f"functions.{function}.handler_gcp" in modules
    assert ("grpc" in modules) == grpc, "Google's clients of other services take a second to load"
    assert not {"boto3", "botocore", "awscrt", "google.cloud.storage"} & modules


@pytest.mark.parametrize("function", FUNCTIONS)
def test_of_the_project_only_what_it_uses_is_inside(made: Path, function: str) -> None:
    for cloud, other in (("aws", "gcp"), ("gcp", "aws")):
        found = names(made / f"{cloud}-{function}.zip")
        handlers = [name for name in found if name.startswith("functions/") and name.endswith(".py")]
        assert f"functions/{function}/handler_{cloud}.py" in handlers
        assert f"functions/{function}/handler_{other}.py" not in handlers
        assert {Path(name).parts[1] for name in handlers} == {"__init__.py", function}
        assert not [name for name in found if re.search(r"^(shipper|tests|bin)/|\.pyc$|/stores/(gcs|s3)/$", name)]
        assert ("backupstore/stores/s3/store.py" in found) == (cloud == "aws")
        assert ("backupstore/stores/gcs/store.py" in found) == (cloud == "gcp")
    assert {name.split("/")[0] for name in names(made / f"gcp-{function}.zip")} <= {
        *OURS,
        "main.py",
        "requirements.txt",
    }


def test_a_package_that_is_not_in_the_lock_is_no_part_of_a_bundle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "functions/indexer").mkdir(parents=True)
    (tmp_path / "functions/indexer/requirements-gcp.txt").write_text("pydantic>=2\n")
    lines = (ROOT / "requirements-dev.lock").read_text().splitlines(keepends=True)
    first = next(number for number, line in enumerate(lines) if line.startswith("pydantic-core=="))
    end = next(number for number in range(first + 1, len(lines)) if not lines[number].startswith(" "))
    (tmp_path / "requirements-dev.lock").write_text("".join(lines[:first] + lines[end:]))
    monkeypatch.setattr(bundle, "ROOT", tmp_path)
    with pytest.raises(BundleError, match=r"does not hold pydantic-core==\S+: renew it with 'make lock'"):
        bundle.make(Bundle("gcp", "indexer"), tmp_path / "made", Runtime(HERE))
    assert not (tmp_path / "made").exists()


def test_every_function_says_what_it_needs_and_does() -> None:
    for function in FUNCTIONS:
        found = {path.name for path in (ROOT / "functions" / function).iterdir()}
        assert {"__init__.py", "README.md", *(Bundle(cloud, function).needs.name for cloud in ("aws", "gcp"))} <= found
    folders = {path.parent.name for path in (ROOT / "functions").glob("*/host.py")}
    assert folders == set(FUNCTIONS)


def test_googles_framework_finds_the_function(made: Path, installed: dict[str, Path], tmp_path: Path) -> None:
    """Where Google's buildpack looks for it; what calls it is no event of a cloud, and is refused as one."""
    folder = unpacked(made, "gcp-indexer", tmp_path / "gcp-indexer")
    settings = {"PYTHONPATH": os.pathsep.join((str(folder), str(installed["indexer"])))}
    with served(folder, "main.py", settings, alone=True) as function:
        with pytest.raises(HTTPError) as refused:
            urlopen(Request(function.url, b"{}", {"Content-Type": "application/json"}), timeout=60)  # noqa: S310 -- loopback
        assert refused.value.code == 400
        assert b"CloudEvent" in refused.value.read()


def test_a_name_that_is_none_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        bundle.main(["aws-indexr"])
    assert ended.value.code == 2
    assert "there is no aws-indexr" in capsys.readouterr().err
