"""Architecture is a test: what the wheel holds, and which module may do what.

Each rule of ``RULES`` names something that only a few modules may do; ``ALLOWED`` says which ones, as patterns
relative to the root (``*`` also crosses folders). A new entry there wants a reason in its review.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("backupstore", "shipper")
CODE = (*PACKAGES, "functions")
PURE = {"backupstore", "pydantic", "pydantic_core", "typing_extensions"} | sys.stdlib_module_names

ALLOWED: dict[str, set[str]] = {
    "environment": {"shipper/cli/*", "functions/*/handler_*.py"},
    "clock": {"backupstore/clock.py"},
    "chance": {"backupstore/chance.py"},
    "process": {"shipper/cassandra/process.py"},
    "exit": {"shipper/__main__.py"},
    "print": set(),
    "console": {"shipper/cli/*"},
    "catch-all": {"shipper/__main__.py", "shipper/agent/ringing.py"},
    "key": {"backupstore/core/layout.py", "backupstore/core/job_layout.py"},
}

NAMES: dict[str, str] = {
    "environment": r"os\.(environb?|getenvb?|putenv|unsetenv)",
    "clock": r"datetime\.(datetime\.(now|utcnow|today)|date\.today)"
    r"|time\.(time|monotonic|perf_counter|clock_gettime)(_ns)?|time\.sleep",
    "chance": r"uuid\.uuid[14]",
    "process": r"subprocess(\..*)?|os\.(system|popen|fork|forkpty|exec\w+|spawn\w+|posix_spawnp?)|pty\.spawn",
    "exit": r"sys\.exit|os\._exit|os\.abort|builtins\.(exit|quit|SystemExit)",
    "print": r"builtins\.print",
    "console": r"rich(\..*)?|sys\.(__)?stdout(__)?",
}


def origins(tree: ast.AST) -> dict[str, str]:
    """Each imported name of a module with what it stands for: ``dt`` is ``datetime``, ``now`` is ``time.time``."""
    known: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for name in node.names:
                first = name.name.partition(".")[0]
                known[name.asname or first] = name.name if name.asname else first
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            known |= {name.asname or name.name: f"{node.module}.{name.name}" for name in node.names}
    return known


def full_name(node: ast.AST, known: dict[str, str]) -> str:
    """The dotted name that an expression stands for; empty when it is no imported or built-in name."""
    if isinstance(node, ast.Name):
        return known.get(node.id, f"builtins.{node.id}")
    if isinstance(node, ast.Attribute):
        base = full_name(node.value, known)
        return f"{base}.{node.attr}" if base and not base.startswith("builtins.") else ""
    return ""


def imported(node: ast.AST) -> list[str]:
    """The full names that an import statement brings in."""
    if isinstance(node, ast.Import):
        return [name.name for name in node.names]
    if isinstance(node, ast.ImportFrom) and node.module and not node.level:
        return [f"{node.module}.{name.name}" for name in node.names]
    return []


def uses_of(pattern: str) -> Callable[[ast.AST], Iterator[int]]:
    """A rule: the lines that import or mention a name of this pattern."""
    shape = re.compile(pattern)

    def lines(tree: ast.AST) -> Iterator[int]:
        known = origins(tree)
        for node in ast.walk(tree):
            names = imported(node) if isinstance(node, ast.Import | ast.ImportFrom) else [full_name(node, known)]
            if any(shape.fullmatch(name) for name in names):
                yield getattr(node, "lineno", 0)

    return lines


def catch_alls(tree: ast.AST) -> Iterator[int]:
    """A rule: the lines that catch, or suppress, whatever comes."""
    known = origins(tree)
    for node in ast.walk(tree):
        caught: list[ast.expr] = []
        if isinstance(node, ast.ExceptHandler):
            if node.type is None:
                yield node.lineno
            else:
                caught = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
        elif isinstance(node, ast.Call) and full_name(node.func, known) == "contextlib.suppress":
            caught = node.args
        if {full_name(one, known) for one in caught} & {"builtins.Exception", "builtins.BaseException"}:
            yield getattr(node, "lineno", 0)


def built_keys(tree: ast.AST) -> Iterator[int]:
    """A rule: the lines that put a key of the bucket together by an f-string."""
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            text = "".join(str(part.value) for part in node.values if isinstance(part, ast.Constant))
            if "meta/" in text or "index/" in text:
                yield node.lineno


RULES: dict[str, Callable[[ast.AST], Iterator[int]]] = {
    **{rule: uses_of(pattern) for rule, pattern in NAMES.items()},
    "catch-all": catch_alls,
    "key": built_keys,
}

CAUGHT = [
    ("environment", "import os\nos.environ['A']"),
    ("environment", "from os import getenv as ask\nask('A')"),
    ("clock", "import datetime as dt\ndt.datetime.now(dt.timezone.utc)"),
    ("clock", "from datetime import datetime\ndatetime.utcnow()"),
    ("clock", "import time\ndef f(now=time.time): ..."),
    ("chance", "import uuid\nuuid.uuid4().hex"),
    ("chance", "from uuid import uuid4"),
    ("process", "import subprocess"),
    ("process", "from subprocess import run"),
    ("process", "import os\nos.system('ls')"),
    ("exit", "import sys\nsys.exit(1)"),
    ("exit", "raise SystemExit(1)"),
    ("print", "print('a')"),
    ("console", "from rich.console import Console"),
    ("console", "import sys\nsys.stdout.write('a')"),
    ("catch-all", "try: ...\nexcept: ..."),
    ("catch-all", "try: ...\nexcept (ValueError, Exception): ..."),
    ("catch-all", "import contextlib\nwith contextlib.suppress(Exception): ..."),
    ("key", "f'{node}/{name}/meta/manifest.json'"),
    ("key", "f'index/{name}'"),
]

FINE = [
    "from datetime import datetime\ndatetime.fromtimestamp(0)",
    "import uuid\nuuid.UUID('00000000-0000-0000-0000-000000000000')",
    "import os\nos.path.join('a', 'b')",
    "clock.time()\nconsole.print('a')\nself.environ",
    "try: ...\nexcept ValueError: ...",
    "f'{node}/metadata'",
]


def sources(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def files_in_git() -> list[Path]:
    """Every file of the repository, committed or about to be."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return [path for name in listing.split("\0") if name and (path := ROOT / name).is_file()]


@pytest.mark.parametrize("rule", RULES)
def test_only_the_named_modules_do_this(rule: str) -> None:
    found = [
        f"{relative(path)}:{line}"
        for path in sources(*CODE)
        if not any(fnmatch(relative(path), pattern) for pattern in ALLOWED[rule])
        for line in RULES[rule](tree_of(path))
    ]
    assert not found, f"{rule}: only {sorted(ALLOWED[rule])} may do this"


@pytest.mark.parametrize(("rule", "code"), CAUGHT)
def test_the_rules_catch_what_they_are_for(rule: str, code: str) -> None:
    assert list(RULES[rule](ast.parse(code)))


@pytest.mark.parametrize("code", FINE)
def test_the_rules_leave_other_code_alone(code: str) -> None:
    assert not [rule for rule in RULES if list(RULES[rule](ast.parse(code)))]


def test_the_core_imports_the_standard_library_and_pydantic_only() -> None:
    found = [
        f"{relative(path)}: {name}"
        for path in sources("backupstore/core")
        for node in ast.walk(tree_of(path))
        for name in imported(node)
        if name.partition(".")[0] not in PURE
    ]
    assert not found


def test_every_module_says_what_it_is_for() -> None:
    assert not [relative(path) for path in sources(*CODE) if not ast.get_docstring(tree_of(path))]


def test_every_file_with_tests_is_collected(pytestconfig: pytest.Config) -> None:
    assert pytestconfig.getini("testpaths") == ["tests"]
    assert pytestconfig.getini("python_files") == ["test_*.py"]
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    assert not [
        relative(path)
        for path in sources("tests")
        if not path.name.startswith("test_")
        and (
            path.stem.endswith(("_test", "_tests"))
            or any(isinstance(node, functions) and node.name.startswith("test_") for node in tree_of(path).body)
        )
    ], "rename to test_*.py: pytest does not look into these"
    assert not [path for path in files_in_git() if path.name.startswith("test_") and ROOT / "tests" not in path.parents]


def test_no_test_replaces_a_part_by_a_mock() -> None:
    mocks = re.compile(r"(unittest\.)?mock(\..*)?|pytest_mock(\..*)?")
    assert not [
        relative(path)
        for path in sources("tests")
        for node in ast.walk(tree_of(path))
        if any(mocks.fullmatch(name) for name in imported(node))
    ]


def test_no_file_names_a_folder_of_one_machine() -> None:
    needle = re.compile(rb"(?<![\w.)}\]>])/(?:work|root)/")
    assert not [relative(path) for path in files_in_git() if needle.search(path.read_bytes())]


def test_the_lock_names_no_registry_and_no_folder() -> None:
    lock = (ROOT / "requirements-dev.lock").read_text(encoding="utf-8")
    assert not re.findall(r"^.*(?:://|--(?:extra-)?index|--find-links|file:).*$", lock, re.MULTILINE)
    unhashed = [block for block in re.split(r"\n(?=\S)", lock) if "==" in block and "--hash=sha256:" not in block]
    assert not unhashed


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


@pytest.mark.xdist_group("wheel")
def test_the_wheel_holds_the_two_packages_and_nothing_else(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    (info,) = {name.partition("/")[0] for name in names if ".dist-info/" in name}
    assert {name.partition("/")[0] for name in names} == {*PACKAGES, info}
    assert {relative(path) for path in sources(*PACKAGES)} == {name for name in names if name.endswith(".py")}
    assert {f"{package}/py.typed" for package in PACKAGES} <= names
    assert f"{info}/licenses/LICENSE" in names


@pytest.mark.xdist_group("wheel")
def test_the_wheel_brings_the_command(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (entries,) = (name for name in archive.namelist() if name.endswith("entry_points.txt"))
        assert "medusa-shipper = shipper.__main__:main" in archive.read(entries).decode()
