"""Does stock Medusa still write here, and, what matters more, still delete?

Stock's purge knows nothing of condemned documents, holds and attempts. It drops by its own settings what ours keeps, and
sweeps files that no manifest names once they are older than ``backup_grace_period_in_days``: those of a backup of ours
that takes longer are among them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from backupstore.core import layout as grammar
from backupstore.core.key_parsing import data_key, parse_in
from backupstore.core.keys import AnnouncedKey
from backupstore.core.manifest import Entry, Item, ManifestReader
from backupstore.errors import Denied, NotFound
from backupstore.settings.storage import StorageSettings
from shipper.doctor.case import MOST, Case
from shipper.doctor.findings import Report, fail, ok, unchecked, warn
from shipper.meta import look, read_condemned

_DAY = 86_400.0
_RECENT = 14 * _DAY
_SAMPLE = 64
_LARGEST = 1 << 20
_PURGES = re.compile(r"(?:^|[\s/=])medusa\s(?:[^\n#]*\s)?(?:purge|delete-backup)\b")
_PLACES = (
    "etc/crontab",
    "etc/anacrontab",
    "etc/cron.d/*",
    "etc/cron.hourly/*",
    "etc/cron.daily/*",
    "etc/cron.weekly/*",
    "etc/cron.monthly/*",
    "var/spool/cron/*",
    "var/spool/cron/crontabs/*",
    "etc/systemd/system/*.service",
    "etc/systemd/system/*.timer",
    "usr/lib/systemd/system/medusa*",
)
_STOP = "Remove it on every node: only one of the two may delete in one bucket (docs/guides/beside-stock.md)."


@dataclass(frozen=True, slots=True)
class Jobs:
    """Where ``medusa purge`` stands on this machine, and what could not be read."""

    found: tuple[str, ...]
    hidden: tuple[str, ...]


def look_at_jobs(case: Case, root: Path = Path("/")) -> Iterator[Report]:
    """Jobs and processes of this machine that call stock's purge."""
    yield from judge_jobs(find_jobs(root), case.settings.storage)


def find_jobs(root: Path) -> Jobs:
    """Read crontabs, units and the list of processes below a root directory."""
    found: list[str] = []
    hidden: list[str] = []
    for pattern in _PLACES:
        folder, name = (root / pattern).parent, Path(pattern).name
        try:
            paths = sorted(path for path in folder.iterdir() if fnmatch(path.name, name))
        except (FileNotFoundError, NotADirectoryError):
            continue
        except PermissionError:
            hidden.append(str(folder))
            continue
        for path in paths:
            try:
                found += [f"{path} ({line})" for line in _lines(path)]
            except PermissionError:
                hidden.append(str(path))
            except (FileNotFoundError, IsADirectoryError):
                continue
    found += [f"process {pid} ({text})" for pid, text in _processes(root / "proc")]
    return Jobs(tuple(found), tuple(dict.fromkeys(hidden)))


def _lines(path: Path) -> list[str]:
    with path.open("rb") as file:
        text = file.read(_LARGEST).decode("utf-8", "replace")
    return [line.strip() for line in text.splitlines() if is_purge(line)]


def is_purge(line: str) -> bool:
    """Whether a line of a crontab, a unit or a list of processes calls stock's purge."""
    return not line.lstrip().startswith(("#", ";")) and _PURGES.search(line) is not None


def _processes(proc: Path) -> Iterator[tuple[str, str]]:
    for path in proc.glob("[0-9]*/cmdline"):
        try:
            text = path.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace").strip()
        except OSError:  # it has just ended
            continue
        if is_purge(text):
            yield path.parent.name, text


def judge_jobs(jobs: Jobs, storage: StorageSettings) -> Iterator[Report]:
    """``max_backup_age`` and ``max_backup_count`` are what stock's purge goes by."""
    limits = [
        f"{key} = {getattr(storage, key)}" for key in ("max_backup_age", "max_backup_count") if getattr(storage, key)
    ]
    if jobs.found:
        yield warn(f"stock's purge runs from this machine: {'; '.join(jobs.found)}", _STOP)
    elif jobs.hidden:
        yield unchecked(
            f"{', '.join(jobs.hidden)} may not be read, so nobody knows whether it calls 'medusa purge'",
            "Look there as root (crontab -l, for each user), or run doctor as root.",
        )
    else:
        yield ok("no crontab, unit or process of this machine calls 'medusa purge'")
    if limits:
        yield warn(
            f"{' and '.join(limits)}: our purge goes by it, and so does stock's 'medusa purge', wherever it runs",
            "Make sure that no node runs it by cron any more, or set both to 0 in the file that stock reads.",
        )


def stock_written(case: Case) -> dict[str, float]:
    """The newest backups of this node that stock wrote, with their start by the store's clock."""
    found = {}
    for name in case.backups[-MOST:]:
        listed = look(case.store, case.layout, case.name, name)
        if grammar.SCHEMA in listed.files and not listed.attempts:
            found[name] = listed.files[grammar.SCHEMA]
    return found


def look_at_writers(case: Case) -> Iterator[Report]:
    """Whether stock has written backups of this node lately."""
    yield judge_writers(stock_written(case), case.clock.now(), case.settings.storage.backup_grace_period_in_days)


def judge_writers(found: dict[str, float], now: float, grace_days: int) -> Report:
    """``found``: stock's backups with their start."""
    if not found:
        return ok("stock wrote none of the newest backups of this node")
    newest = max(found, key=lambda name: found[name])
    age = now - found[newest]
    text = f"stock wrote {newest} of this node {age / _DAY:.1f} days ago"
    if age > _RECENT:
        return ok(f"{text}, and nothing since")
    return warn(
        f"{text}: both write here",
        f"That works. But stock's purge deletes files that no manifest names after {grace_days} days: a backup of ours must"
        " not be unfinished for longer, and only one of the two may purge (docs/guides/beside-stock.md).",
    )


def _announced(case: Case) -> dict[str, float]:
    """The backups that this node has announced as finished, with the store's time of it."""
    found = {}
    for stored in case.store.list(f"{case.layout.announcements()}{case.name}/"):
        key = parse_in(case.layout, stored.key)
        if isinstance(key, AnnouncedKey) and key.what == "finished":
            found[key.backup] = stored.modified
    return found


def look_at_deleted(case: Case) -> Iterator[Report]:
    """Whether backups that this node has finished are gone without a purge of ours."""
    try:
        told = _announced(case)
    except Denied:
        yield unchecked(
            "these credentials may not list announcements", "Ask where 'serve' runs, with this node's --fqdn."
        )
        return
    newest = sorted(told, key=lambda name: told[name])[-MOST:]
    gone = [name for name in newest if not _has_manifest(case, name)]
    if gone:
        gone = [name for name in gone if name not in read_condemned(case.store, case.layout, case.name).backups]
    yield judge_deleted(gone, len(newest)) if newest else unchecked("this node has announced no backup yet")


def judge_deleted(gone: Sequence[str], looked_at: int) -> Report:
    """Stock's purge deletes the manifest with the backup, and never an announcement."""
    if not gone:
        return ok(f"the manifests of the newest {looked_at} finished backups of this node are there")
    return warn(
        f"{', '.join(gone)} of this node {'was' if len(gone) == 1 else 'were'} finished, and deleted by somebody else than"
        " medusa-shipper",
        "If nobody did so by hand, 'medusa purge' of stock or a lifecycle rule runs on this bucket. " + _STOP,
    )


def _has_manifest(case: Case, name: str) -> bool:
    return _is_there(case, case.layout.meta(case.name, name, grammar.MANIFEST))


def look_at_data(case: Case) -> Iterator[Report]:
    """Whether what the newest backup of this node names is there: a sample, spread over all of it."""
    name = case.last_own or (case.latest.name if case.latest else None)
    if name is None:
        yield unchecked("this node has no finished backup yet")
        return
    if not _has_manifest(case, name):
        yield fail(f"{name}, the newest backup of this node, has no manifest any more", "Back up again now. " + _STOP)
        return
    sample, count = _sampled(case, name)
    gone = [key for key in sample if data_key(case.layout, key) is None or not _is_there(case, key)]
    yield judge_data(name, gone, len(sample), count)


def judge_data(name: str, gone: Sequence[str], looked_at: int, count: int) -> Report:
    """A backup with a hole cannot be restored."""
    if not gone:
        return ok(f"{looked_at:,} of the {count:,} objects of {name} were looked for, and are there")
    return fail(
        f"{len(gone):,} of {looked_at:,} objects of {name} that were looked for are gone, such as {gone[0]}",
        "It cannot be restored. Back up again now: what is missing is uploaded again. Find out who deletes. " + _STOP,
    )


class _Sample:
    """So many keys, spread evenly, of a stream whose length nobody knows before its end."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._step = 1
        self.count = 0
        self.keys: list[str] = []

    def take(self, items: Iterable[Item]) -> None:
        """Look at more of the stream."""
        for item in items:
            if isinstance(item, Entry):
                if self.count % self._step == 0:
                    self.keys.append(item.path)
                self.count += 1
                if len(self.keys) > self._most:
                    self.keys, self._step = self.keys[::2], self._step * 2


def _sampled(case: Case, name: str) -> tuple[list[str], int]:
    key = case.layout.meta(case.name, name, grammar.MANIFEST)
    reader, sample = ManifestReader(key), _Sample(_SAMPLE)
    case.store.fetch(key, lambda piece: sample.take(reader.feed(piece)))
    sample.take(reader.finish())
    return sample.keys, sample.count


def _is_there(case: Case, key: str) -> bool:
    try:
        case.store.head(key)
    except NotFound:
        return False
    return True
