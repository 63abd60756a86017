"""The targets of what is read about cluster jobs: documents, commands, keys, and the files that hold keys."""

from __future__ import annotations

from contextlib import suppress

from backupstore import signing
from backupstore.core import key_parsing
from backupstore.core.commands import Command, read_payload, verified
from backupstore.core.documents import decode
from backupstore.core.job_answers import with_answers
from backupstore.core.job_documents import Job, NodeState
from backupstore.core.layout import Layout
from backupstore.core.obedience import Here, Seen, accept, answered, obeyed
from backupstore.errors import Corrupt, Denied, Misconfigured
from tests.fuzzing.job_samples import BODIES, JOB, PREPARE, STOP
from tests.fuzzing.of_core import document
from tests.fuzzing.target import KEY, Target, named, text_of

_LAYOUT = Layout("p")
_LINE = "0a1b2c3d4e5f6071 AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="


def payload(data: bytes) -> None:
    """It is the text that was read; and whether it is obeyed can be told, by a node that knows it and by one that does not."""
    text = text_of(data)
    found = read_payload(text, KEY)
    assert found.text == text
    here = Here(found.prefix, found.node, None)
    assert accept(found, Seen(), here, found.expires).kind == "refuse"
    if found.issued < found.expires and found.issued >= 0:
        assert accept(found, Seen(), here, found.issued).kind == "obey"
    known = obeyed(Seen(), found)
    assert accept(found, known, here, found.expires).kind == "go-on"
    assert accept(found, answered(known, found), here, found.issued).kind == "answered"


def command(data: bytes) -> None:
    """Whoever's key would be right: then the payload is one, or the document is refused."""
    found = decode(Command, data, KEY)
    assert verified(found, {found.key: lambda _signature, _body: True}, KEY).text == found.payload
    with suppress(Denied):
        verified(found, {found.key: lambda _signature, _body: False}, KEY)
        raise AssertionError("nobody signed this")


def states(data: bytes) -> None:
    """What a node says changes its own part at most."""
    said = decode(NodeState, data, KEY)
    job = decode(Job, BODIES[Job], KEY)
    part = job.nodes["n1"].model_copy(update={"outcome": None})
    job = job.model_copy(update={"nodes": {"n1": part, "n2": part}})
    after = with_answers(job, [said], now=1.0)
    assert [node for node in job.nodes if job.nodes[node] != after.nodes[node]] in ([], [said.node])


def key(data: bytes) -> None:
    """What is read is what would be written."""
    text = text_of(data)
    parsed = key_parsing.parse_in(_LAYOUT, text)
    found = key_parsing.job_key(parsed) if parsed else None
    if found is None:
        return
    built = {
        "request": _LAYOUT.job_request(found.job),
        "wish": _LAYOUT.job_wish(found.job, found.wish),
        "state": _LAYOUT.job_state(found.job, found.node, found.number, found.seq),
    }
    assert built[found.what] == text


def keys(data: bytes) -> None:
    """Public keys, as they stand in a file."""
    for name, check in signing.public_keys_of(text_of(data), "keys").items():
        assert name.isascii()
        assert not check(bytes(64), b"")


def private_key(data: bytes) -> None:
    """A private key's line; it signs, and is never shown."""
    text = text_of(data)
    signer = signing.signer_of(text, "key")
    assert len(signer.sign(b"")) == 64
    assert text.split()[1] not in repr(signer)


_KEYS = (
    _LAYOUT.job_request(JOB),
    _LAYOUT.job_wish(JOB, "w"),
    _LAYOUT.job_state(JOB, "n1", 12, 3),
    _LAYOUT.job(JOB),
    _LAYOUT.job_over(JOB),
    _LAYOUT.command("n1"),
)

TARGETS = (
    *(
        Target(f"decode[{kind.__name__}]", document(kind), (decode, kind), (body,), (Corrupt,))
        for kind, body in BODIES.items()
    ),
    Target(
        named(read_payload),
        payload,
        (read_payload, accept),
        tuple(each.text.encode() for each in (PREPARE, STOP)),
        (Corrupt,),
    ),
    Target(named(verified), command, (verified,), (BODIES[Command],), (Corrupt, Denied)),
    Target(named(with_answers), states, (with_answers,), (BODIES[NodeState],), (Corrupt,)),
    Target(named(key_parsing.job_key), key, (key_parsing.job_key,), tuple(each.encode() for each in _KEYS)),
    Target(named(signing.public_keys_of), keys, (signing.public_keys_of,), (_LINE.encode(),), (Misconfigured,)),
    Target(named(signing.signer_of), private_key, (signing.signer_of,), (_LINE.encode(),), (Misconfigured,)),
)
