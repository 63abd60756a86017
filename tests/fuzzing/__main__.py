"""``make fuzz SECONDS=60``: atheris tries what a guided search comes to, so many seconds on each target of the table.

python -m tests.fuzzing 60 [TARGET…]             # all of them, or these
python -m tests.fuzzing --input FILE TARGET      # one input again, as a finding is named in the output

atheris has to be installed (``make fuzz`` does that below ``build``, where it also keeps what the search has learnt).
"""

from __future__ import annotations

import importlib
import logging
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

_FOLDER = Path("build", "fuzzing")
_SPARE = 60  # seconds that one input may take; libFuzzer calls it a hang then
_MEMORY = 2048  # MiB
_LARGEST = 8192  # bytes of an input
_EXECUTED = re.compile(r"^stat::number_of_executed_units:\s*(\d+)", re.MULTILINE)


def _folder(name: str) -> Path:
    folder = _FOLDER / re.sub(r"[^\w.-]", "_", name)
    (folder / "corpus").mkdir(parents=True, exist_ok=True)
    return folder


def _search(name: str, seconds: int) -> None:
    """In a process of its own, which libFuzzer ends."""
    atheris = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["backupstore", "shipper"]):
        target = importlib.import_module("tests.fuzzing.table").TARGETS[name]
        awkward = importlib.import_module("tests.fuzzing.mutation").AWKWARD
    logging.disable(logging.CRITICAL)
    folder = _folder(name)
    for number, seed in enumerate(target.seeds):
        (folder / "corpus" / f"seed-{number}").write_bytes(seed)
    words = [word for word in awkward if 0 < len(word) < 64]  # libFuzzer takes no longer ones
    lines = ("".join(f"\\x{byte:02x}" for byte in word) for word in words)
    (folder / "words").write_text("".join(f'"{line}"\n' for line in lines))
    options = {
        "max_total_time": seconds,
        "max_len": _LARGEST,
        "timeout": _SPARE,
        "rss_limit_mb": _MEMORY,
        "print_final_stats": 1,
        "dict": folder / "words",
        "artifact_prefix": f"{folder}/",
    }
    atheris.Setup(
        ["fuzz", *(f"-{name}={value}" for name, value in options.items()), str(folder / "corpus")], target.attempt
    )
    atheris.Fuzz()


def _hunt(name: str, seconds: int) -> bool:
    """Whether nothing was found."""
    command = [sys.executable, "-m", "tests.fuzzing", "--search", name, str(seconds)]
    ended = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    executed = _EXECUTED.search(ended.stderr)
    told = f"{executed[1] if executed else '?':>10} executions  {name}"
    if ended.returncode:
        (_folder(name) / "finding.txt").write_text(ended.stdout + ended.stderr)
        told += f"\n{'':>10} FINDING, see {_folder(name)}/finding.txt: {_first_line(ended.stdout + ended.stderr)}"
    sys.stdout.write(told + "\n")
    sys.stdout.flush()
    return not ended.returncode


def _first_line(output: str) -> str:
    """What was raised, or what libFuzzer says."""
    lines = re.findall(r"^(?:[\w.]+(?:Error|Exception)\b.*|.*ERROR: .*)", output, re.MULTILINE)
    return str(lines[0])[:300] if lines else "it ended at once"


def main(arguments: list[str]) -> int:
    """The number of targets with findings decides."""
    match arguments:
        case ["--search", name, seconds]:
            _search(name, int(seconds))
            return 0
        case ["--input", file, name]:
            importlib.import_module("tests.fuzzing.table").TARGETS[name].attempt(Path(file).read_bytes())
            return 0
    each = int(arguments[0]) if arguments else 60
    names = arguments[1:] or list(importlib.import_module("tests.fuzzing.table").TARGETS)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        clean = list(pool.map(lambda name: _hunt(name, each), names))
    sys.stdout.write(f"{len(names)} targets, {clean.count(False)} with findings\n")
    return min(1, clean.count(False))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
