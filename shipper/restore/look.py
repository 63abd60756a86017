"""Reading all that a restore decides by: the backup's meta, this machine, the ring. Nothing is written but the hold."""

from __future__ import annotations

import json
from pathlib import Path

from backupstore.core import layout as grammar
from backupstore.core import tokenmap
from backupstore.core.documents import Damaged, Hold, decode, encode
from backupstore.core.shown import printable
from backupstore.errors import BackupError, Corrupt, Denied, NodeTrouble, NotFound, Refused
from shipper.cassandra.port import Identity
from shipper.intent import Found
from shipper.meta import body_of, find, read_condemned
from shipper.progress import Progress
from shipper.restore.plan import Backup, Here
from shipper.site import Site

_HOLD_DAYS = 7.0


def read_backup(site: Site, name: str, *, whole: bool = True) -> Backup:
    """The backup of this node. NotFound, Refused, Corrupt with the reason it cannot be restored, or not as a ``whole``."""
    found = find(site.store, site.layout, site.name, name)
    _check_whole(site, name, found, whole=whole)
    ring = _ring(site, name)
    described = _text(site, name, grammar.DESCRIBE)
    latest = found.latest
    own = ring.get(site.name)
    return Backup(
        name=name,
        node=site.name,
        host_id=printable(latest.host_id) if latest else None,
        started=found.files[grammar.SCHEMA],
        release_version=printable(latest.release_version) if latest else _stocks_version(site, name),
        tokens=frozenset(own.tokens) if own else frozenset(),
        ring_size=max(len(ring), len(latest.ring) if latest else 0),
        schema=_text(site, name, grammar.SCHEMA) or "",
        described=described,
        dc=printable(own.dc) if own else "",
    )


def _check_whole(site: Site, name: str, found: Found, *, whole: bool) -> None:
    if grammar.SCHEMA not in found.files:
        raise NotFound(
            f"There is no backup {name} of {site.name}.",
            hint="list-backups shows what there is; --fqdn acts as another node.",
            operation="restore",
            key=name,
        )
    why, way_out = "", "Choose another one (list-backups)."
    if grammar.ABANDONED in found.files:
        why = "was given up before it was whole"
    elif grammar.MANIFEST not in found.files:
        why, way_out = "is not finished: it has no manifest", f"Wait until it is finished, or: {way_out}"
    elif grammar.DAMAGED in found.files:
        why = f"lost files after it was made: {_damage(site, name)}"
    elif whole and found.latest is not None and found.latest.partial:
        why = "holds only some tables (--keyspace, --table), and a node can only be restored whole from it"
        way_out = "Choose a whole backup, or restore some of its tables: --keyspace, --table."
    if why:
        raise Refused(f"The backup {name} of {site.name} {why}.", hint=way_out, operation="restore", key=name)


def _damage(site: Site, name: str) -> str:
    key = site.layout.meta(site.name, name, grammar.DAMAGED)
    body = body_of(site.store, key)
    damaged = decode(Damaged, body, key) if body is not None else None
    first = damaged.files[0] if damaged and damaged.files else None
    return printable(f"{first.path} {first.why}") if first else "nobody says which"


def _ring(site: Site, name: str) -> tokenmap.Tokenmap:
    body = body_of(site.store, site.layout.meta(site.name, name, grammar.TOKENMAP))
    return {} if body is None else tokenmap.parse(body, site.layout.meta(site.name, name, grammar.TOKENMAP))


def _stocks_version(site: Site, name: str) -> str:
    """What stock noted of Cassandra. Refused for DSE, whose files Cassandra cannot read."""
    key = site.layout.meta(site.name, name, grammar.SERVER_VERSION)
    try:
        value = json.loads(body_of(site.store, key) or b"{}")
    except (ValueError, RecursionError) as error:
        raise Corrupt(f"{key} cannot be read.", hint="Choose another backup.", operation="restore", key=key) from error
    fields = value if isinstance(value, dict) else {}
    if str(fields.get("server_type", "cassandra")) == "dse":
        raise Refused(
            f"The backup {name} was made on DSE, whose files Apache Cassandra cannot read.",
            hint="Restore it with stock Medusa on a node that runs DSE.",
            operation="restore",
            key=name,
        )
    return printable(str(fields.get("release_version", "unknown"))[:40])


def _text(site: Site, backup: str, file: str) -> str | None:
    body = body_of(site.store, site.layout.meta(site.name, backup, file))
    return body.decode("utf-8", "replace") if body is not None else None


def look_here(site: Site, *, in_place: bool) -> Here:
    """This machine as it is."""
    is_up = site.cassandra.is_up()
    remembered = site.state.read("identity")
    host_id = remembered.get("host_id") if remembered.get("node") == site.name else None
    return Here(
        live=_live(site) if is_up else None,
        is_up=is_up,
        remembered_host_id=host_id if isinstance(host_id, str) else None,
        has_data=any(map(_holds_something, site.cassandra.data_directories)),
        in_place_typed=in_place,
    )


def _live(site: Site) -> Identity | None:
    try:
        return site.cassandra.identity()
    except NodeTrouble:
        return None


def _holds_something(directory: Path) -> bool:
    return any(directory.glob("[!.]*/*/*.db")) if directory.is_dir() else False


def hold(  # noqa: PLR0913 - whose backup, and the two flags
    site: Site, backup: str, hold_id: str, *, without: bool, progress: Progress, of: Site | None = None
) -> None:
    """Write the hold first, and only then look whether the backup is condemned: purge looks in the other order.

    ``of``: as the node sees it whose backup this is, None for one's own.
    """
    now = site.clock.now()
    document = Hold(
        backup=backup, id=hold_id, by=site.name, why="restore-node", created=now, expires=now + _HOLD_DAYS * 86400
    )
    why, way_out = "", "or go on with --without-hold: every byte is fetched and checked before the node is stopped."
    try:
        site.store.create(site.layout.hold(backup, hold_id), encode(document))
    except Denied as error:
        why = f"it cannot be protected from being deleted meanwhile: {error.message}"
        way_out = "Let this node create objects below index/holds/, " + way_out
    if backup in _condemned(of or site, without=without):
        why, way_out = "it is being deleted", f"Choose another one, {way_out}"
    if not why:
        return
    if not without:
        raise Refused(f"The backup {backup} is not safe to restore: {why}.", hint=way_out, operation="restore")
    progress.warn(f"{why}; should anything of it be missing, the restore ends before the node is stopped")


def _condemned(site: Site, *, without: bool) -> frozenset[str]:
    try:
        return read_condemned(site.store, site.layout, site.name).backups
    except BackupError:
        if without:
            return frozenset()
        raise
