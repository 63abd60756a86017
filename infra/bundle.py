"""One zip for each function and cloud, as it is deployed: ``python -m infra.bundle``, or ``make bundle``.

The same sources give the same bytes, on any machine and at any time: then a digest says what runs, and Terraform deploys
nothing that has not changed. So names are sorted, times and modes are fixed, nothing is compiled, and the exact versions of
what others wrote are those of ``requirements-dev.lock``, with its hashes.

A zip for AWS carries all that it needs, also boto3 (docs/decisions/0006-what-a-bundle-carries.md). One for Google carries
sources, ``main.py`` and ``requirements.txt``: Google installs these when it builds the function.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "dist" / "functions"
FUNCTIONS = ("coordinator", "indexer", "purge", "report", "verify")
RUNTIME = "3.13"
"""Of Lambda (``python3.13``) and of Cloud Run functions (``python313``)."""

_PLATFORM = "{machine}-manylinux_2_28"  # Lambda's Pythons from 3.12 on run on Amazon Linux 2023, with glibc 2.34
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can say
_MODE = 0o100644 << 16
_UNIX = 3
_OTHERS = {
    "aws": (
        "google_function.py",
        "core/cloud_events.py",
        "metrics/cloud_monitoring.py",
        "queues/pubsub*.py",
        "stores/gcs/*",
    ),
    "gcp": ("lambda_function.py", "metrics/cloudwatch.py", "queues/sqs*.py", "stores/s3/*"),
}
"""What of backupstore is the other cloud's."""
_CALLED = frozenset({"secretsmanager", "sqs", "ssm", "sso", "sso-oidc", "sts"})
"""Services of which botocore needs the description: those that we call, and those that give credentials."""
_PINNED = re.compile(r"^(\S+==\S+)(?: ;.*?)? \\\n((?: {4}--hash=\S+(?: \\\n)?)+)", re.MULTILINE)
"""One package in the lock: name and version, and its hashes."""
_BARE = ("--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links")
_METADATA = frozenset({"METADATA", "entry_points.txt"})  # what importlib.metadata is asked for
_MAIN = '''"""Where Cloud Run functions look for the function."""

from functions.{function}.handler_gcp import handler

__all__ = ["handler"]
'''


@dataclass(frozen=True, slots=True)
class Bundle:
    """One function on one cloud."""

    cloud: str
    function: str

    @property
    def name(self) -> str:
        """Of the zip."""
        return f"{self.cloud}-{self.function}.zip"

    @property
    def needs(self) -> Path:
        """The packages that it asks for, by name and range."""
        file = "requirements.txt" if self.cloud == "aws" else "requirements-gcp.txt"
        return ROOT / "functions" / self.function / file


@dataclass(frozen=True, slots=True)
class Runtime:
    """What it will run on: the version of Python, such as ``3.13``, and the processor, ``x86_64`` or ``aarch64``."""

    python: str = RUNTIME
    machine: str = "x86_64"

    @property
    def options(self) -> tuple[str, ...]:
        """For uv."""
        return ("--python-version", self.python, "--python-platform", _PLATFORM.format(machine=self.machine))


BUNDLES = tuple(Bundle(cloud, function) for cloud in ("aws", "gcp") for function in FUNCTIONS)


def make(bundle: Bundle, target: Path, runtime: Runtime) -> str:
    """Write the zip into this folder, in place of an older one; its SHA-256. BundleError when packages cannot be had."""
    locked = _locked(bundle.needs.read_text(encoding="utf-8"), runtime)
    files = dict(_sources(bundle))
    if bundle.cloud == "aws":
        files |= _packages(locked, runtime)
    else:
        files["main.py"] = _MAIN.format(function=bundle.function).encode()
        files["requirements.txt"] = locked.encode()
    target.mkdir(parents=True, exist_ok=True)
    return _write(files, target / bundle.name)


class BundleError(Exception):
    """A bundle cannot be made; the text says why."""


@cache
def _locked(needs: str, runtime: Runtime) -> str:
    """All packages that these bring, each with its one version and its hashes."""
    lock = ROOT / "requirements-dev.lock"
    found = _uv("compile", "-", "--constraints", str(lock), *_BARE, *runtime.options, said=needs).split()
    # The hashes of the lock, not of the index: that one tells of every wheel that was added since.
    hashes = dict(_PINNED.findall(lock.read_text(encoding="utf-8")))
    missing = [pin for pin in found if pin not in hashes]
    if missing:
        raise BundleError(f"requirements-dev.lock does not hold {', '.join(missing)}: renew it with 'make lock'.")
    return "".join(f"{pin} \\\n{hashes[pin]}\n" for pin in found)


@cache
def _packages(locked: str, runtime: Runtime) -> Mapping[str, bytes]:
    """The files of these packages that a function may use, by their names."""
    exactly = ("--require-hashes", "--no-deps", "--only-binary", ":all:")
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        _uv("install", "--target", made, "--requirements", "-", *exactly, *runtime.options, said=locked)
        names = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
        return {name.as_posix(): (folder / name).read_bytes() for name in names if _is_needed(name)}


def _uv(verb: str, *options: str, said: str) -> str:
    """What ``uv pip`` printed. ``said``: its standard input."""
    uv = Path(sys.executable).with_name("uv")  # one on the PATH may be of any version
    done = subprocess.run(
        [str(uv), "--no-config", "--quiet", "pip", verb, *options],
        capture_output=True,
        text=True,
        check=False,
        input=said,
    )
    if done.returncode:
        raise BundleError(f"uv pip {verb} failed; it has to reach the package index:\n{done.stderr}")
    return done.stdout


def _sources(bundle: Bundle) -> Iterator[tuple[str, bytes]]:
    """Ours: the function with its handler for this cloud, and what all functions share."""
    folder = ROOT / "functions" / bundle.function
    ours = [ROOT / "functions" / "__init__.py", *folder.glob("*.py")]
    other = {f"handler_{cloud}.py" for cloud in _OTHERS if cloud != bundle.cloud}
    ours = [path for path in ours if path.name not in other]
    shared = ROOT / "backupstore"
    left_out = {path for pattern in _OTHERS[bundle.cloud] for path in shared.glob(pattern)}
    ours += [path for path in shared.rglob("*.py") if path not in left_out]
    for path in ours:
        yield path.relative_to(ROOT).as_posix(), path.read_bytes()


def _is_needed(name: Path) -> bool:
    """Whether a file of an installed package is used when the function runs."""
    if name.parts[0] in {"bin", ".lock"} or name.suffix in {".pyi", ".pyc"}:
        return False
    if name.parts[0].endswith(".dist-info"):
        return name.name in _METADATA
    match name.parts:
        case ("botocore", "data", service, _, *_):
            return service in _CALLED
        case ("boto3", "data" | "examples", *_):
            return len(name.parts) == len(("boto3", "data", "file")) and name.parts[1] == "data"
    return True


def _write(files: Mapping[str, bytes], path: Path) -> str:
    made = path.with_suffix(".made")
    with zipfile.ZipFile(made, "w") as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.compress_type, entry.external_attr, entry.create_system = zipfile.ZIP_DEFLATED, _MODE, _UNIX
            archive.writestr(entry, files[name], compresslevel=6)
    made.replace(path)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def main(arguments: list[str] | None = None) -> int:
    """Make those that are named, or all."""
    parser = argparse.ArgumentParser(prog="python -m infra.bundle", description="The zips of the functions.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="such as aws-indexer (default: all)")
    parser.add_argument("--into", type=Path, default=TARGET, help="folder (default: dist/functions)")
    parser.add_argument("--python", default=RUNTIME, help=f"version of Python that runs them (default: {RUNTIME})")
    parser.add_argument(
        "--machine", choices=("x86_64", "aarch64"), default="x86_64", help="processor (default: x86_64)"
    )
    given = parser.parse_args(arguments)
    wanted = [one for one in BUNDLES if not given.names or one.name.removesuffix(".zip") in given.names]
    unknown = set(given.names) - {one.name.removesuffix(".zip") for one in wanted}
    if unknown:
        parser.error(f"there is no {', '.join(sorted(unknown))}")
    runtime, lines = Runtime(given.python, given.machine), []
    try:
        for one in wanted:
            lines.append(f"{make(one, given.into, runtime)}  {one.name}")
            sys.stdout.write(f"{lines[-1]}  {(given.into / one.name).stat().st_size / 1e6:.1f} MB\n")
    except BundleError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    if not given.names:
        (given.into / "SHA256SUMS").write_text("\n".join((*lines, "")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
