"""What a day's work does to the tables: rows are added, changed and deleted, so that each day's content is another one."""

from __future__ import annotations

from tests.harness import Session, driver, reading
from tests.harness.reading import Row

_TABLES = (
    "CREATE KEYSPACE life WITH replication = {'class': 'NetworkTopologyStrategy', 'replication_factor': 2}",
    "CREATE TABLE life.events (day int, n int, text text, PRIMARY KEY (day, n))",
    "CREATE TABLE life.customers (id int PRIMARY KEY, name text, note text)",
    "CREATE TABLE life.hits (page text PRIMARY KEY, n counter)",
    "CREATE INDEX customers_by_name ON life.customers (name)",
)
_EVENTS, _CUSTOMERS = 20, 30


def create(session: Session) -> None:
    """Two replicas of everything; an index that has a folder of its own; a counter, which cannot be written twice."""
    driver.define(session, _TABLES)


def work(session: Session, day: int) -> None:
    """One day."""
    event = session.prepare("INSERT INTO life.events (day, n, text) VALUES (?, ?, ?)")
    for number in range(_EVENTS):
        session.execute(event, (day, number, f"event {number} of day {day}"))
    customer = session.prepare("INSERT INTO life.customers (id, name, note) VALUES (?, ?, ?)")
    for number in range(_CUSTOMERS // 3):
        identity = (day * 7 + number) % _CUSTOMERS
        session.execute(customer, (identity, f"name{identity % 5}", f"seen on day {day}"))
    session.execute("DELETE FROM life.customers WHERE id = %s", (day % _CUSTOMERS,))
    session.execute("DELETE FROM life.events WHERE day = %s AND n > %s", (day - 2, _EVENTS // 2))
    session.execute("UPDATE life.hits SET n = n + %s WHERE page = %s", (day, f"page{day % 3}"))


def read(session: Session) -> dict[str, list[Row]]:
    """Every row, and what the index finds."""
    found = reading.select(session, "SELECT id, name FROM life.customers WHERE name = 'name1'")
    return {**reading.read_all(session), "by name": found}
