"""The targets of ``shipper`` and ``operations``: the meta of a node backup as others read it, a node's own files, webhooks."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import cast

from backupstore.core.documents import ClusterBackup, Damaged, encode
from backupstore.core.layout import DAMAGED, MANIFEST, SCHEMA, SERVER_VERSION, TOKENMAP, Layout
from backupstore.errors import Corrupt, NotFound, Refused
from backupstore.operations.truth import read_fact
from backupstore.settings.kinds import ListenAddress
from backupstore.stores.memory import MemoryBucket
from shipper import webhooks
from shipper.cassandra.port import CassandraNode
from shipper.inbox import Inbox
from shipper.restore import journal
from shipper.restore.look import read_backup
from shipper.restore.places import Place
from shipper.site import Site
from shipper.state import StateDirectory
from shipper.transfer.download import Owner
from tests.clocks import SettableClock
from tests.core.test_coverage import SCHEMA as SCHEMA_TEXT
from tests.core.test_tokenmap import BODY as RING
from tests.fuzzing.of_core import MANIFEST_BODY
from tests.fuzzing.samples import ATTEMPT, BODIES
from tests.fuzzing.target import Target, named

_LAYOUT = Layout("p")
_NODE, _BACKUP, _ATTEMPT = "n1", "b", "attempt-1.json"
_MOST = 60_000  # bytes that fit into a socket without anybody reading at the other end
_SECRET = "5cb1c5b1d3e04f6d8b6c"
_META = {
    SCHEMA: SCHEMA_TEXT.encode(),
    _ATTEMPT: encode(ATTEMPT.model_copy(update={"keyspaces": (), "tables": ()})),
    TOKENMAP: RING,
    SERVER_VERSION: b'{"server_type": "cassandra", "release_version": "5.0.6"}',
    MANIFEST: MANIFEST_BODY,
}


def _bucket(file: str, body: bytes) -> MemoryBucket:
    """A node backup of which one file of the meta is this."""
    bucket = MemoryBucket()
    for name, sound in {**_META, file: body}.items():
        if not (file == SERVER_VERSION and name == _ATTEMPT):  # only stock's backups are known by that file
            bucket.hold(_LAYOUT.meta(_NODE, _BACKUP, name), sound)
    return bucket


def fact(file: str) -> Callable[[bytes], None]:
    """What the catalog says of a node backup can be written down, whatever is in its meta."""

    def run(data: bytes) -> None:
        store = _bucket(file, data).open(None, _LAYOUT)
        found = read_fact(store, _LAYOUT, node=_NODE, backup=_BACKUP)
        assert found.fact is not None
        assert found.fact.problem is None or found.fact.problem.isprintable()
        encode(ClusterBackup(revision="r", name=_BACKUP, nodes={_NODE: found.fact}))

    return run


def backup(file: str) -> Callable[[bytes], None]:
    """What a restore is planned by can be shown."""

    def run(data: bytes) -> None:
        # Of the node itself nothing is asked for here.
        node, state = cast("CassandraNode", None), StateDirectory(Path())
        store = _bucket(file, data).open(None, _LAYOUT)
        found = read_backup(Site(store, _LAYOUT, node, _NODE, state, SettableClock(), "bucket"), _BACKUP)
        assert found.release_version.isprintable()
        assert found.host_id is None or found.host_id.isprintable()

    return run


def remembered(data: bytes) -> None:
    """What a node remembers may be lost, and is never half of it."""
    with tempfile.TemporaryDirectory() as folder:
        state = StateDirectory(Path(folder))
        (state.path / "identity.json").write_bytes(data)
        assert isinstance(state.read("identity"), dict)


def journal_of_a_restore(data: bytes) -> None:
    """Written and read again it is the same."""
    with tempfile.TemporaryDirectory() as folder:
        state = StateDirectory(Path(folder))
        state.journal.write_bytes(data)
        found = journal.load(state)
        assert found is not None
        assert journal.load(state) == journal.save(state, found)


@cache
def _server(secret: str | None) -> webhooks._Server:
    door = webhooks.Door(ListenAddress("127.0.0.1", 0), secret, "backups")
    return webhooks._Server(door, Inbox(), SettableClock())


def _said_to(server: webhooks._Server, data: bytes) -> bytes:
    """The answer to one connection; whatever its handler raises comes out."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(data[:_MOST])
        theirs.shutdown(socket.SHUT_WR)
        server.finish_request(ours, ("127.0.0.1", 1))
        ours.close()
        return b"".join(iter(lambda: theirs.recv(_MOST), b""))


def webhook(data: bytes) -> None:
    """There is an HTTP answer or none."""
    said = _said_to(_server(None), data)
    assert not said or said.startswith(b"HTTP/1.1 ")


def closed_door(data: bytes) -> None:
    """Nothing is taken from somebody who does not know the secret."""
    if _SECRET.encode() not in data:
        assert not _said_to(_server(_SECRET), data).startswith(b"HTTP/1.1 204")


def _post(body: bytes, *headers: bytes) -> bytes:
    return b"\r\n".join(
        (b"POST /hook/a%20b?secret=x&y HTTP/1.1", b"Host: h", *headers, b"Content-Length: %d" % len(body), b"", body)
    )


_EVENT = b'{"EventName":"s3:ObjectCreated:Put","Key":"backups/p/n1/b/meta/manifest.json","Records":[]}'
_POSTS = (
    _post(_EVENT, b"Authorization: Bearer abc"),
    _post(_EVENT, b"Authorization: Basic eDp5"),
    b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n",
)
_JOURNAL = journal.Journal(
    phase="placing",
    backup=_BACKUP,
    node=_NODE,
    bucket="s3://backups/p",
    host_id="h1",
    places=(Place(Path("/data"), Path("/.work"), holds_data=True, owner=Owner(1, 2)),),
    was_up=True,
    boot_id="boot-1",
    quiet_peers=("n2",),
)
_FILES = {**_META, DAMAGED: BODIES[Damaged]}

TARGETS = (
    *(Target(f"{named(read_fact)}[{file}]", fact(file), (read_fact,), (body,)) for file, body in _FILES.items()),
    *(
        Target(f"{named(read_backup)}[{file}]", backup(file), (read_backup,), (body,), (Corrupt, NotFound, Refused))
        for file, body in _META.items()
        if file != MANIFEST
    ),
    Target(named(StateDirectory.read), remembered, (StateDirectory.read,), (b'{"node": "n1", "host_id": "h1"}',)),
    Target(
        named(journal.load), journal_of_a_restore, (journal.load,), (_JOURNAL.model_dump_json().encode(),), (Corrupt,)
    ),
    Target("webhooks", webhook, (webhooks._Server.finish_request,), _POSTS),
    Target("webhooks[secret]", closed_door, (webhooks.Door.opens_for,), _POSTS),
)
