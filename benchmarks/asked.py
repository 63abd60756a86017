"""What is asked of the store: counted in the access log of a server of its own, apart from the timed runs."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import unquote

from benchmarks.arena import Arena
from benchmarks.contestants import Ours
from benchmarks.rows import Line

_OPERATION = re.compile(r" s3_(\w+) \S+ (/\S+) ")
_PAGE = 1000
_LOG = "VGW_ACCESS_LOG"


def request_lines(base: Path) -> Iterator[Line]:
    """A backup of 20,000 files, another one with nothing new, and one of large files."""
    log = base / "access.log"
    with ExitStack() as stack, _environment(_LOG, str(log)):
        work = base / "counted"
        work.mkdir()
        arena = Arena(work, stack)
        files = arena.files("small").count
        arena.place("s3")
        arena.up(Ours(), "s3", "small")
        first = _counted(log)
        log.write_text("")
        arena.again(Ours(), "s3", "small")
        again = _counted(log)
        log.write_text("")
        larges = arena.files("few").count
        arena.up(Ours(), "s3", "few")
        few = _counted(log)
    yield _line("20,000 files: PUT of data", first["PutObject data"], files)
    yield _line("nothing new: PUT of data", again["PutObject data"], 0)
    created = few["PutObject data"] + few["CompleteMultipartUpload data"]
    yield _line("10 files, 4 of them in parts: objects", created, larges)
    for name, counted in (("20,000 files", first), ("nothing new", again), ("10 files", few)):
        yield _line(f"{name}: HEAD of data", counted["HeadObject data"], 0)
        yield _line(f"{name}: listings of data", counted["begun listing data"], 1)
    yield _line("nothing new: pages of the listing", again["ListObjectsV2 data"], -(-files // _PAGE))
    others = {name: count for name, count in sorted(again.items()) if not name.endswith(" data")}
    text = ", ".join(f"{count} {name}" for name, count in others.items())
    yield Line("requests, beside the data", text, "-", "-", "-", is_met=True)


def _line(what: str, count: int, most: int) -> Line:
    why = f"{count - most:,} requests more than needed"
    return Line(f"requests, {what}", f"{count:,}", "-", "-", f"≤ {most:,}", count <= most, why)


def _counted(log: Path) -> Counter[str]:
    """By operation, and whether it is about data. A listing of many pages is begun once."""
    found: Counter[str] = Counter()
    for line in log.read_text().splitlines():
        match = _OPERATION.search(line)
        if match:
            operation, target = match[1], unquote(match[2])
            about = " data" if "/data/" in target or "/data-v/" in target else ""
            found[f"{operation}{about}"] += 1
            if operation == "ListObjectsV2" and "continuation-token=" not in target:
                found[f"begun listing{about if '/data/' in target else ' of data-v' if about else ' of meta'}"] += 1
    return found


@contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    os.environ[name] = value
    try:
        yield
    finally:
        del os.environ[name]
