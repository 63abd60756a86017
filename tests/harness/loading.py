"""Deterministic rows, in batches: each adds rows of its own and changes some of the one before.

Batch 1 only adds. Each later batch also overwrites cells, deletes single cells, rows and ranges
of the batch before it, and adds to counters: so that a restore to a backup taken between two
batches shows in every table whether it went back, and whether deleted rows came alive.
"""

from __future__ import annotations

import itertools
import random
import struct
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal

from cassandra import ReadFailure
from cassandra.concurrent import execute_concurrent_with_args
from cassandra.util import uuid_from_time

from tests.harness.driver import Session
from tests.harness.errors import HarnessError

_EPOCH = 1_700_000_000
_Row = tuple[object, ...]

_INSERTS = {
    "customers": "INSERT INTO shop.customers (id, name, home, tags, phones, notes) VALUES (?, ?, ?, ?, ?, ?)",
    "orders": "INSERT INTO shop.orders (day, at, kind, body, amount) VALUES (?, ?, ?, ?, ?)",
    "readings": "INSERT INTO shop.readings (sensor, at, place, value, raw) VALUES (?, ?, ?, ?, ?)",
    "documents": "INSERT INTO shop.documents (k, topic, embedding) VALUES (?, ?, ?)",
    "quoted": 'INSERT INTO shop."QuotedTable" ("Id", v) VALUES (?, ?)',
    "hits": "UPDATE shop.hits SET n = n + ? WHERE page = ?",
    "reborn": "INSERT INTO shop.reborn (k, second_life) VALUES (?, ?)",
    "mixed": 'INSERT INTO "MixedCase"."Tab" (k, "C", v) VALUES (?, ?, ?)',
}
_CHANGES = {
    "rename": "UPDATE shop.customers SET name = ?, notes = notes + ? WHERE id = ?",
    "forget": "DELETE tags['a'], home FROM shop.customers WHERE id = ?",
    "leave": "DELETE FROM shop.customers WHERE id = ?",
    "cancel": "DELETE FROM shop.orders WHERE day = ? AND at >= ?",
    "rewrite": "UPDATE shop.documents SET topic = ? WHERE k = ?",
    "discard": "DELETE FROM shop.documents WHERE k = ?",
    "unquote": 'DELETE FROM shop."QuotedTable" WHERE "Id" = ?',
    "unmix": 'DELETE FROM "MixedCase"."Tab" WHERE k = ?',
    "relocate": "UPDATE shop.readings SET place = ? WHERE sensor = ?",
}

_VIEW_AND_TABLE = (
    "SELECT day, at, kind, body, amount FROM shop.orders",
    "SELECT day, at, kind, body, amount FROM shop.orders_by_kind",
)


def load(session: Session, rows: int = 100, batch: int = 1) -> None:
    """Write a batch of `rows` rows to each table, and wait until the view has caught up."""
    if batch < 1 or rows < 4:
        raise HarnessError("batches are counted from 1, and have 4 rows or more")
    for name, statement in _INSERTS.items():
        _write(session, statement, _ROWS[name](rows, batch))
    if batch > 1:
        changes = _changes(rows, batch)
        for name, statement in _CHANGES.items():
            _write(session, statement, changes[name])
    _wait_view(session)


def _write(session: Session, statement: str, rows: Iterable[_Row]) -> None:
    prepared = session.prepare(statement)
    execute_concurrent_with_args(session, prepared, list(rows), concurrency=32, raise_on_first_error=True)


def _wait_view(session: Session, seconds: float = 60) -> None:
    """A view is written after its table has answered, by another node perhaps.

    A node that is slow to learn of the newest table refuses reads, although its schema has the version of the others.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            orders, by_kind = ({tuple(row) for row in session.execute(query)} for query in _VIEW_AND_TABLE)
        except ReadFailure as refused:
            why = str(refused)
        else:
            if orders == by_kind:
                return
            why = f"they differ by {len(orders ^ by_kind)} rows"
        if time.monotonic() > deadline:
            raise HarnessError(f"the view orders_by_kind is not level with its table: {why}")
        time.sleep(0.1)


def _customer(rows: int, batch: int, index: int) -> uuid.UUID:
    return uuid.UUID(int=random.Random(f"customer {batch} {rows} {index}").getrandbits(128), version=4)


def _order(batch: int, index: int) -> tuple[str, uuid.UUID]:
    at = uuid_from_time(_EPOCH + 100_000 * batch + index, node=0x10000000000, clock_seq=1)
    return f"day{batch}-{index % 5}", at


def _customers(rows: int, batch: int) -> Iterator[_Row]:
    for index in range(rows):
        tags = {"a", f"b{index}"} if index % 3 else None
        home = (f"Street {index}", index) if index % 2 else None
        phones = {"home": f"+{index}", "work": f"-{index}"} if index % 4 else None
        yield _customer(rows, batch, index), f"name{index % 10}", home, tags, phones, [f"note {batch}", "ü"]


def _orders(rows: int, batch: int) -> Iterator[_Row]:
    for index in range(rows):
        yield *_order(batch, index), f"kind{index % 3}", "x" * (index % 200), Decimal(index) / 8


def _readings(rows: int, batch: int) -> Iterator[_Row]:
    chance = random.Random(f"readings {batch}")
    for index in range(rows):
        sensor = f"sensor{batch}-{index % 7}"
        value = chance.random() if index else float("nan")
        yield sensor, (_EPOCH + index) * 1000, f"place {batch}", value, chance.randbytes(index % 50)


def _documents(rows: int, batch: int) -> Iterator[_Row]:
    for index in range(rows):
        # Values that a 32-bit float holds exactly.
        yield batch * 100_000 + index, f"topic{index % 10}", [float(index), batch / 4, 0.5]


def _quoted(rows: int, batch: int) -> Iterator[_Row]:
    return ((batch * 100_000 + index, f"value {index}") for index in range(rows))


def _hits(rows: int, batch: int) -> Iterator[_Row]:
    return ((batch + index, f"page{index % 10}") for index in range(rows))


def _reborn(rows: int, batch: int) -> Iterator[_Row]:
    return ((batch * 100_000 + index, f"life {batch}") for index in range(rows))


def _mixed(rows: int, batch: int) -> Iterator[_Row]:
    return ((batch * 1000 + index % 20, index, struct.pack(">I", index).hex()) for index in range(rows))


_ROWS = {
    "customers": _customers,
    "orders": _orders,
    "readings": _readings,
    "documents": _documents,
    "quoted": _quoted,
    "hits": _hits,
    "reborn": _reborn,
    "mixed": _mixed,
}


def _changes(rows: int, batch: int) -> dict[str, Sequence[_Row]]:
    """What a batch does to the one before it; of each four rows, most stay as they are."""
    before, quarter = batch - 1, range(rows // 4)
    ids = [_customer(rows, before, index) for index in range(rows)]
    documents = [before * 100_000 + index for index in range(rows)]
    day, since = _order(before, rows // 2)
    return {
        "rename": [(f"renamed{batch}", [f"by batch {batch}"], ids[index]) for index in quarter],
        "forget": [(each,) for each in itertools.islice(ids, rows // 4, rows // 2)],
        "leave": [(ids[-1 - index],) for index in quarter],
        "cancel": [(day, since)],
        "rewrite": [(f"topic of batch {batch}", documents[index]) for index in quarter],
        "discard": [(documents[-1 - index],) for index in quarter],
        "unquote": [(documents[index],) for index in quarter],
        "unmix": [(before * 1000 + 1,)],
        "relocate": [(f"moved by batch {batch}", f"sensor{before}-0")],
    }
