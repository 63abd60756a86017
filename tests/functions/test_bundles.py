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
import functions.indexer.handler_aws, backupstore.stores.s3.configured, backupstore
print(backupstore.__file__)
"""


def named(requirement: str) -> str:
    return re.sub(r"[-_.]+", "-", re.split(r"[^\w.-]", requirement.strip(), maxsplit=1)[0]).lower()


def closure(names: set[str]) -> set[str]:
    """These distributions and all that they bring."""
    found, left = set[str](), set(names)
    while left:
        name = left.pop()
        found.add(name)
        needs = (need for need in requires(name) or [] if "extra ==" not in need)
        left |= {named(need) for need in needs} - found
    return found


@pytest.mark.parametrize("function", ["indexer"])
def test_its_requirements_name_all_that_it_loads(tmp_path: Path, function: str) -> None:
    folder = bundle(tmp_path / function, function)
    lines = (FUNCTIONS / function / "requirements.txt").read_text(encoding="utf-8").splitlines()
    brought = closure({named(line) for line in lines if not line.startswith("#")})
    owners = {module: {named(one) for one in of} for module, of in packages_distributions().items()}
    missing = {module for module, of in owners.items() if not of & brought} - {"backupstore", "functions"}
    missing |= {"shipper", "tests"}
    assert {"cassandra", "typer", "watchdog", "ruamel", "certifi"} <= missing
    done = subprocess.run(
        [sys.executable, "-c", LOADED, " ".join(missing)],
        cwd=folder,
        env=environment(folder, {}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).is_relative_to(folder), "the deployed one, not the one in development"


def test_every_function_says_what_it_needs_and_does() -> None:
    folders = [path for path in FUNCTIONS.iterdir() if path.is_dir() and path.name != "__pycache__"]
    assert folders
    for folder in folders:
        names = {path.name for path in folder.iterdir()}
        assert {"__init__.py", "README.md", "requirements.txt"} <= names
        assert any(name.startswith("handler_") for name in names)
