"""What the demo needs beside its story: the product's command line as a user has it, `serve` in the background, a stopwatch."""

from __future__ import annotations

import configparser
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.demo.places import Place
from tests.harness.leash import leashed
from tests.harness.node import Node


def write_ini(directory: Path, node: Node, place: Place) -> Path:
    """A medusa.ini for one node of the harness and a bucket, as an operator would write it; our own keys beside it."""
    settings = configparser.ConfigParser(interpolation=None)
    settings["cassandra"] = {
        "config_file": str(node.yaml),
        "nodetool_executable": str(node.script("nodetool")),
        "stop_cmd": str(node.script("stop")),
        "start_cmd": str(node.script("start")),
        "resolve_ip_addresses": "False",
    }
    settings["storage"] = {**place.storage, "fqdn": node.ip}
    settings["checks"] = {"query": "SELECT release_version FROM system.local", "expected_rows": "1"}
    ini = directory / "medusa.ini"
    beside = configparser.ConfigParser(interpolation=None)
    beside["shipper"] = {"state_dir": str(directory / "state"), **place.shipper}
    for file, content in ((ini, settings), (directory / "medusa-shipper.ini", beside)):
        with file.open("w", encoding="utf-8") as out:
            content.write(out)
    return ini


@dataclass
class Stage:
    """Runs commands and tells what happens and how long it took."""

    ini: Path
    times: list[tuple[str, float]] = field(default_factory=list)

    @contextmanager
    def act(self, title: str) -> Iterator[None]:
        """One step of the story."""
        print(f"\n== {title}", flush=True)
        began = time.monotonic()
        yield
        took = time.monotonic() - began
        self.times.append((title, took))
        print(f"   ({took:.1f} s)", flush=True)

    def medusa(self, *arguments: str) -> str:
        """Run the command line; its output is shown and returned. Raises when it fails."""
        print(f"$ medusa-shipper {' '.join(arguments)}", flush=True)
        done = subprocess.run(
            [*command(self.ini), *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        for line in done.stdout.splitlines():
            print(f"  {line}", flush=True)
        if done.returncode:
            raise SystemExit(f"medusa-shipper {arguments[0]} ended with exit code {done.returncode}")
        return done.stdout

    @contextmanager
    def serving(self) -> Iterator[None]:
        """`medusa-shipper serve` in the background."""
        log = self.ini.with_name("serve.log")
        print("$ medusa-shipper serve &", flush=True)
        words = leashed([*command(self.ini), "serve"])
        with log.open("wb") as out, subprocess.Popen(words, stdout=out, stderr=out) as server:
            try:
                yield
            finally:
                server.terminate()
                if server.wait(30) != 0:
                    raise SystemExit(f"serve ended badly:\n{log.read_text()}")

    def wait_listed(self, name: str, seconds: float = 30) -> str:
        """`list-backups` again and again until the catalog shows the backup as finished; nobody builds an index."""
        end = time.monotonic() + seconds
        while True:
            done = subprocess.run([*command(self.ini), "list-backups"], capture_output=True, text=True, check=False)
            line = next((line for line in done.stdout.splitlines() if line.startswith(f"{name} ")), "")
            if line and "Incomplete" not in line and "WARNING" not in done.stderr:
                return done.stdout
            if time.monotonic() > end:
                raise SystemExit(f"{name} is not listed after {seconds} s:\n{done.stdout}{done.stderr}")

    def tell_times(self) -> None:
        """The stopwatch."""
        print("\nWhat took how long:")
        for title, took in self.times:
            print(f"  {took:6.1f} s  {title}")
        print(f"  {sum(took for _, took in self.times):6.1f} s  in all")


def command(ini: Path) -> list[str]:
    """The command line as installed beside this interpreter."""
    script = Path(sys.executable).with_name("medusa-shipper")
    program = [str(script)] if os.access(script, os.X_OK) else [sys.executable, "-m", "shipper"]
    return [*program, "--config-file", str(ini)]
