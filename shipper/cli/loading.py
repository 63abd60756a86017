"""``restore-node --use-sstableloader``: node backups into the cluster of the node beside us, which runs on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from backupstore.chance import random_text
from backupstore.core.shown import counted
from backupstore.core.sizes import human_size
from backupstore.errors import Refused
from backupstore.wiring import check_bucket
from shipper.cli.console import out
from shipper.cli.logs import resumable
from shipper.cli.options import Globals
from shipper.restore.loading import Loading, LoadRequest
from shipper.snapshot import Filters
from shipper.wiring import NodeWiring, naming_of


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadOptions:
    """Flags of ``restore-node`` that loading obeys."""

    keyspaces: tuple[str, ...]
    tables: tuple[str, ...]
    keep_auth: bool
    verify: bool
    accept_corrupt: bool
    without_hold: bool
    temp_dir: Path | None
    dry_run: bool


def run_load(chosen: Globals, name: str, flags: LoadOptions) -> None:
    """Load the backups of the nodes that --fqdn names, or of this one."""
    check_bucket(chosen.store)
    wiring = NodeWiring(chosen.settings, chosen.clock)
    sources = _sources(chosen)
    site = wiring.site(chosen.store, chosen.layout, _own_name(chosen, sources))
    filters = Filters(flags.keyspaces, flags.tables)
    request = LoadRequest(
        job=None,
        backup=name,
        sources=sources,
        filters=filters,
        overwrite_auth=not flags.keep_auth,
        accept_corrupt=flags.accept_corrupt,
        without_hold=flags.without_hold,
        temp_dir=flags.temp_dir,
    )
    workers = chosen.settings.storage.concurrent_transfers
    loading = Loading(
        site, wiring.loader(), wiring.node.schema, lambda: f"restore-{random_text()}", workers, chosen.console
    )
    if flags.dry_run:
        for source, size in loading.sizes(request).items():
            out(f"{name} of {source} would be loaded: {human_size(size)}")
        return
    if request.overwrite_auth and filters.is_whole:
        chosen.console.step(
            "roles join those that are here, and the later version of each counts; --keep-auth: none do"
        )
    again = "What was loaded stays. Run the same command again to go on."
    with site.state.locked("restore-node"), resumable(again):
        done = loading.load(request)
        if flags.verify:
            chosen.console.step("checking the node")
            wiring.service().check()
    out(
        f"{name} is loaded: {counted(done.sources, 'node backup')}, {counted(done.tables, 'table')}, {human_size(done.size)}"
    )


def _sources(chosen: Globals) -> tuple[str, ...]:
    named = tuple(dict.fromkeys(name.strip() for name in chosen.node_name.split(",") if name.strip()))
    if not named:
        raise Refused("--fqdn names no node.", hint="For example --fqdn n1,n2,n3.", operation="load")
    return named


def _own_name(chosen: Globals, sources: tuple[str, ...]) -> str:
    """Who holds the backups while they are loaded: with several sources, this node itself."""
    if len(sources) == 1:
        return sources[0]
    settings = chosen.settings
    return naming_of(replace(settings, storage=replace(settings.storage, fqdn=None))).own()
