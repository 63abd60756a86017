"""All checks, in the order in which they are read.

Putting them together asks nothing, not even the disk: only what a check does is limited in time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from backupstore.settings import Loaded
from backupstore.stores.local import LocalStore
from shipper.doctor import bucket, index, keys, mounted, names, node, rules, stock
from shipper.doctor import settings as file
from shipper.doctor.case import Case
from shipper.doctor.findings import Check, Report

AREAS = ("settings", "names", "store", "index", "stock", "node")

_NAME = "names/own"
_BUCKET = "store/bucket"
_WRITING = "store/create"
_YAML = "node/cassandra.yaml"
_CQL = "node/cql"


def all_checks(case: Case, loaded: Loaded, path: str, revision: str) -> tuple[Check, ...]:
    """Every check of one examination. ``path`` names the file of the settings, ``revision`` is random."""
    return (*_of_settings(case, loaded, path), *_of_store(case, revision), *_of_node(case))


def _of_settings(case: Case, loaded: Loaded, path: str) -> Iterator[Check]:
    storage = case.settings.storage
    yield Check("settings/file", lambda: file.look_at_settings(loaded, path))
    yield Check("settings/storage", lambda: file.judge_storage(storage))
    if not isinstance(case.store, LocalStore):
        yield Check("settings/credentials", lambda: file.look_at_key_file(storage))
    yield Check("settings/command-keys", lambda: keys.look_at_command_keys(case.settings.shipper))
    yield Check("settings/signing-key", lambda: keys.look_at_signing_key(case.settings.shipper))
    yield Check(_NAME, _on(names.look_at_own_name, case))


def _of_store(case: Case, revision: str) -> Iterator[Check]:
    there, written = (_BUCKET,), (_WRITING,)
    own = (_NAME, _BUCKET)  # what is asked about this node's own keys; the rest a machine answers that only serves
    is_local = isinstance(case.store, LocalStore)
    yield Check(_BUCKET, _on(bucket.look_at_bucket, case))
    if is_local:
        yield Check("store/mount", _on(mounted.look_at_mount, case))
        yield Check("store/room", _on(mounted.look_at_room, case))
        yield Check("store/links", _on(mounted.look_at_links, case), own)
    yield Check(_WRITING, _on(bucket.look_at_writing, case), own)
    yield Check("store/announce", _on(bucket.look_at_announcing, case), own)
    if not is_local:
        yield Check("store/create-in-parts", _on(bucket.look_at_parts, case), written)
    yield Check("store/clock", _on(bucket.look_at_clock, case), written if is_local else there)
    yield Check("store/powers", _on(bucket.look_at_powers, case), written)
    if not is_local:
        yield Check("store/rules", _on(rules.look_at_rules, case), there)
    yield Check("index/replace", lambda: bucket.look_at_swapping(case, revision), there)
    yield Check("index/catalog", _on(index.look_at_catalog, case), there)
    yield Check("index/events", _on(index.look_at_events, case), own)
    yield Check("stock/jobs", _on(stock.look_at_jobs, case))
    yield Check("stock/writes", _on(stock.look_at_writers, case), own)
    yield Check("stock/deletes", _on(stock.look_at_deleted, case), own)
    yield Check("stock/data", _on(stock.look_at_data, case), own)


def _of_node(case: Case) -> Iterator[Check]:
    yield Check(_YAML, _on(node.look_at_configuration, case))
    yield Check("node/data", _on(node.look_at_data, case), (_YAML,))
    yield Check("node/nodetool", _on(node.look_at_nodetool, case))
    yield Check(_CQL, _on(node.look_at_cql, case), (_YAML,))
    yield Check("node/same", _on(node.look_at_same_node, case), ("node/nodetool", _CQL))
    yield Check("node/commands", _on(node.look_at_commands, case), (_YAML,))
    yield Check("node/state", _on(node.look_at_state, case))
    yield Check("node/room", _on(node.look_at_room, case), (_NAME, _BUCKET, _YAML))
    yield Check("node/restore", _on(node.look_at_restore, case), (_YAML,))
    yield Check("names/ring", _on(names.look_at_ring, case), (_NAME, _CQL))
    yield Check("names/neighbours", _on(names.look_at_neighbours, case), (_NAME, _BUCKET))
    yield Check("names/identity", _on(names.look_at_identity, case), (_NAME, _BUCKET, _CQL))


def _on(look: Callable[[Case], Iterable[Report]], case: Case) -> Callable[[], Iterable[Report]]:
    return lambda: look(case)
