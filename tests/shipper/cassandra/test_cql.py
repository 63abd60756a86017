"""What a CQL session makes of the driver's own errors, and whom it asks for the version of the schema."""

from __future__ import annotations

import struct
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace

import pytest
from cassandra.encoder import Encoder
from cassandra.query import bind_params

from backupstore.errors import NodeTrouble
from shipper.cassandra import cql
from shipper.cassandra.cql import CqlAccess, Session, Tls, frames
from shipper.cassandra.port import Undecoded
from shipper.cassandra.wire import Address
from tests.shipper.cassandra.test_system_tables import local, peer

OWN = Address("10.0.0.1", 9042)
_ROWS = 2
_RESULT = 8
_TIMESTAMP = 0x000B
_YEAR_14645 = 400_000_000_000_000


@dataclass
class Driver:
    """A driver's session that answers with one ``row``, or fails; values it binds as the real one does."""

    error: Exception | None = None
    peers: Sequence[SimpleNamespace] = ()
    own: SimpleNamespace | None = None

    def execute(self, statement: str, values: tuple[object, ...] | None, timeout: float) -> list[object]:
        assert timeout > 0
        if values:
            bind_params(statement, values, Encoder())
        if self.error:
            raise self.error
        return [self.own] if "system.local" in statement else list(self.peers)


def a_row(milliseconds: int) -> bytes:
    """The body of a result with one timestamp."""
    names = b"".join(struct.pack(">H", len(text)) + text for text in (b"k", b"t", b"at"))
    head = struct.pack(">iii", _ROWS, 1, 1) + names + struct.pack(">H", _TIMESTAMP)
    return head + struct.pack(">iiq", 1, 8, milliseconds)


def decoded(body: bytes) -> object:
    return frames().decode_message(5, {}, 1, 0, _RESULT, body, None, None)


def test_what_cannot_be_put_into_a_statement_is_the_statements_trouble() -> None:
    session = Session(CqlAccess(OWN), Driver())
    for text in ('SELECT "cpu%" FROM t WHERE "cpu%" = %s', 'SELECT "%s" FROM t WHERE a = %s', "SELECT a FROM t"):
        with pytest.raises(NodeTrouble, match="CQL at"):
            session.query(text, ("v",))
    assert session.query('SELECT "cpu%%" FROM t WHERE "cpu%%" = %s', ("v",)) == ()


def test_a_value_that_python_does_not_have_ends_the_question_and_not_the_connection() -> None:
    """What a decoder raises, the driver takes for the end of the connection; what it returns is the answer."""
    assert getattr(decoded(a_row(0)), "parsed_rows", None)
    error = decoded(a_row(_YEAR_14645))
    assert isinstance(error, Exception)
    with pytest.raises(Undecoded, match='Failed decoding result column "at"'):
        Session(CqlAccess(OWN), Driver(error)).query("SELECT * FROM t")


class Asked:
    """Who is asked for its version."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.addresses: list[str] = []
        monkeypatch.setattr(cql, "connect", self.connect)

    def connect(self, access: CqlAccess) -> object:
        self.addresses.append(str(access.address))
        raise NodeTrouble("Nobody is there.", hint="", operation="cql")


def test_members_are_asked_at_their_own_ports_and_two_may_share_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Asked(monkeypatch)
    peers = [peer(2, native_address="10.0.0.1", native_port=9043), peer(3)]
    versions = Session(CqlAccess(OWN), Driver(own=local(), peers=peers)).schema_versions()
    assert versions == {"10.0.0.1:9042": str(uuid.UUID(int=7)), "10.0.0.1:9043": None, "10.0.0.3:9042": None}
    assert sorted(asked.addresses) == ["10.0.0.1:9043", "10.0.0.3:9042"]


def test_where_tls_has_a_port_of_its_own_all_have_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    asked = Asked(monkeypatch)
    tls = Tls(tmp_path_factory.getbasetemp() / "ca.pem")
    Session(CqlAccess(Address("10.0.0.1", 9142), tls=tls), Driver(own=local(), peers=[peer(2)])).schema_versions()
    assert asked.addresses == ["10.0.0.2:9142"]
