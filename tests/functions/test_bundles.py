"""What is deployed needs nothing that does not come with it."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import pytest

from tests.harness.lambda_runtime import bundle, environment

FUNCTIONS = Path(__file__).resolve().parents[2] / "functions"
LOADED = """
import sys
missing = set(sys.argv[1].split())
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in missing:
            raise ModuleNotFoundError(f"{name} is not deployed", name=name)
sys.meta_path.insert(0, Missing())
import importlib, backupstore
cloud, store = sys.argv[3:]
importlib.import_module(f"backupstore.stores.{store}.configured")
importlib.import_module(f"functions.{sys.argv[2]}.handler_{cloud}")
print(backupstore.__file__)
print(*sys.modules)
"""


def named(requirement: str) -> str:
    return re.sub(r"[-_.]+", "-", re.split(r"[^\w.-]", requirement.strip(), maxsplit=1)[0]).lower()


def closure(names: set[str]) -> set[str]:
    """These distributions and all that they bring here: some needs are those of other Pythons and systems."""
    found, left = set[str](), set(names)
    here = {named(one) for of in packages_distributions().values() for one in of}
    while left:
        name = left.pop()
        found.add(name)
        if name not in here:
            continue
        needs = (need for need in requires(name) or [] if "extra ==" not in need)
        left |= {named(need) for need in needs} - found
    return found


def loads(folder: Path, function: str, cloud: str, file: str, absent: set[str]) -> set[str]:
    """All modules of a handler, loaded from its folder alone with what its requirements bring. ``absent``: must not be."""
    lines = (FUNCTIONS / function / file).read_text(encoding="utf-8").splitlines()
    brought = closure({named(line) for line in lines if not line.startswith("#")})
    owners = {module: {named(one) for one in of} for module, of in packages_distributions().items()}
    missing = {module for module, of in owners.items() if not of & brought} - {"backupstore", "functions"}
    missing |= {"shipper", "tests"}
    assert absent <= missing
    done = subprocess.run(
        [sys.executable, "-c", LOADED, " ".join(missing), function, cloud, {"aws": "s3", "gcp": "gcs"}[cloud]],
        cwd=folder,
        env=environment(folder, {}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    place, modules = done.stdout.splitlines()
    assert Path(place).is_relative_to(folder), "the deployed one, not the one in development"
    return set(modules.split())


@pytest.mark.parametrize("function", sorted(path.parent.name for path in FUNCTIONS.glob("*/handler_aws.py")))
def test_its_requirements_name_all_that_it_loads(tmp_path: Path, function: str) -> None:
    folder = bundle(tmp_path / function, function)
    loads(folder, function, "aws", "requirements.txt", {"cassandra", "typer", "watchdog", "ruamel", "certifi"})


@pytest.mark.parametrize(
    ("function", "grpc"),
    [("coordinator", False), ("indexer", False), ("purge", True), ("report", False), ("verify", True)],
)
def test_at_google_too_and_it_loads_no_more_than_it_uses(tmp_path: Path, function: str, grpc: bool) -> None:  # noqa: FBT001
    folder = bundle(tmp_path / function, function)
    modules = loads(
        folder, function, "gcp", "requirements-gcp.txt", {"cassandra", "typer", "ruamel", "boto3", "awscrt"}
    )
    assert ("grpc" in modules) == grpc, "Google's clients of other services take a second to load"
    assert "google.cloud.storage" not in modules


def test_every_function_says_what_it_needs_and_does() -> None:
    folders = [path for path in FUNCTIONS.iterdir() if path.is_dir() and path.name != "__pycache__"]
    assert folders
    for folder in folders:
        names = {path.name for path in folder.iterdir()}
        assert {"__init__.py", "README.md", "requirements.txt"} <= names
        assert any(name.startswith("handler_") for name in names)
