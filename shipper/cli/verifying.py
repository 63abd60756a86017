"""The command verify: stock Medusa's text, and lines of ours behind it for what stock does not look at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import typer

from backupstore.chance import random_text
from backupstore.core.completion import Complete, completion
from backupstore.core.documents import ClusterBackup, Found, Level
from backupstore.core.sizes import human_size
from backupstore.core.verification import (
    BROKEN,
    DIFFERENT,
    EXTRA,
    INCOMPLETE,
    MISMATCH,
    MISSING,
    UNCHECKED,
    UNCOVERED,
    UNTOLD,
    WARNING,
    WORST_FIRST,
    Subset,
    subset_of,
)
from backupstore.errors import BackupError, Corrupt, NotFound
from backupstore.operations.findings import LEVELS, write_findings
from backupstore.operations.verify import Verified, verify
from backupstore.operations.verify_node import Wanted
from backupstore.wiring import check_bucket
from shipper.cli.alike import alike
from shipper.cli.console import out, out_json
from shipper.cli.logs import log
from shipper.cli.options import Globals
from shipper.in_threads import hands

_DAY = 86_400.0
_SHOWN = 20
_TITLES = {"listing": "Manifest", "structure": "Structure", "content": "Content"}
_STOCKS = {MISSING: "Doesn't exists", DIFFERENT: "Blob different"}
_PARTS = {BROKEN: "structure", UNCOVERED: "structure", MISMATCH: "content", UNTOLD: "content"}


@dataclass(frozen=True, slots=True)
class Flags:
    """How closely to look, as typed. ``subset`` is empty for all."""

    level: Level = "listing"
    checksums: bool = False
    subset: str = ""
    record: bool = True


def run_verify(chosen: Globals, name: str, flags: Flags, *, output: str) -> None:
    """``verify``. Corrupt when anything is bad, or could not be checked."""
    now = chosen.clock.now()
    wanted = Wanted(flags.level, flags.checksums, _subset(flags, now), chosen.settings.storage.multipart_chunksize)
    check_bucket(chosen.store)
    with hands(chosen.store, chosen.settings.storage.concurrent_transfers) as held:
        found = verify(held.store, chosen.layout, [name], wanted, held.each)
    if not found:
        if output == "json":
            out_json({})
        raise NotFound(
            f"There is no backup {name}.",
            hint="list-backups --show-all shows what there is.",
            operation="verify",
            key=name,
        )
    (verified,) = found
    findings = verified.findings(now=now, revision=random_text())
    if output == "json":
        out_json(findings.model_dump(mode="json", exclude={"format", "revision"}))
    else:
        for line in verify_text(verified):
            out(line)
    _tell(verified)
    if flags.record:
        try:
            write_findings(chosen.store, chosen.layout, findings)
        except BackupError as error:
            log.warning("what was found was not put down in the bucket: %s", error.message)
    if not verified.tally.ok:
        raise _bad(name, verified)


def _subset(flags: Flags, now: float) -> Subset | None:
    if not flags.subset:
        return None
    try:
        return subset_of(flags.subset, now=now, every=_DAY)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--read-data-subset") from error


def verify_text(verified: Verified) -> Iterator[str]:
    """What is printed."""
    document, level = verified.document, verified.wanted.level
    yield f"Validating {document.name} ..."
    yield from _completion(document)
    by_level: dict[str, list[Found]] = {each: [] for each in LEVELS[: LEVELS.index(level) + 1]}
    for found in verified.tally.findings:
        if found.kind not in {INCOMPLETE, WARNING}:
            of = level if found.kind == UNCHECKED else _PARTS.get(found.kind, "listing")
            by_level[of if of in by_level else level].append(found)
    for each, bad in by_level.items():
        if bad:
            yield f"- {_TITLES[each]} validation: Failed!"
            yield from (f"  - {_line(found)}" for found in bad)
        else:
            yield f"- {_TITLES[each]} validated: OK!!{_how_much(verified) if each == 'content' else ''}"
    untold = sum(verified.tally.counts.values()) - len(verified.tally.findings)
    if untold > 0:
        yield f"  - and {untold} more"


def _completion(document: ClusterBackup) -> Iterator[str]:
    judged = completion(document.nodes, document.rings)
    if isinstance(judged, Complete):
        yield "- Completion: OK!"
        return
    yield "- Completion: Not complete!"
    for node in judged.incomplete:
        fact = document.nodes[node]
        if fact.problem:
            yield f"  - [{node}] {fact.problem}"
        else:
            yield f"  - [{node}] Backup started at {int(fact.started)}, but not finished yet"
    for node in judged.missing:
        yield f"  - [{node}] Backup missing"


def _line(found: Found) -> str:
    if found.kind == EXTRA:
        return f"[{found.path}] exists in storage, but not in manifest"
    where = found.path or found.node
    return f"[{where}] {_STOCKS.get(found.kind, found.why)}" if where else found.why


def _how_much(verified: Verified) -> str:
    subset = verified.wanted.subset
    return f" {human_size(verified.tally.read)} read{f', part {subset}' if subset else ''}"


def _tell(verified: Verified) -> None:
    """What stock's lines have no room for."""
    tally = verified.tally
    told = (found for found in tally.findings if found.kind in {*_STOCKS, WARNING})
    for line in islice(alike((found.path or found.node, found.why) for found in told), _SHOWN):
        log.warning("%s", line)
    if tally.by_size:
        log.warning(
            "of %d of %d objects only the size was compared: the listing or the manifest holds no digest of them",
            tally.by_size,
            tally.objects,
        )


def _bad(name: str, verified: Verified) -> Corrupt:
    counts = verified.tally.counts
    kinds = ", ".join(f"{counts[kind]} {kind}" for kind in WORST_FIRST if counts[kind] and kind != WARNING)
    return Corrupt(
        f"{name} is not good: {kinds}.",
        hint="Keep older backups until a new one verifies. --output json tells of every finding why.",
        operation="verify",
        key=name,
    )
