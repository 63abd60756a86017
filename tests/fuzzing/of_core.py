"""The targets of ``backupstore.core``: documents, manifest, tokenmap, schema, keys, names, events and work items."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from pydantic import BaseModel

from backupstore.core import (
    cloud_events,
    contents,
    cql_objects,
    cql_text,
    events,
    host_list,
    key_parsing,
    names,
    notifications,
    schema_changes,
    sstables,
    tokenmap,
    verification,
)
from backupstore.core.contents import Check, plain_md5, same_digest
from backupstore.core.coverage import Holder, gaps
from backupstore.core.documents import Own, decode, encode
from backupstore.core.etag import etag_like
from backupstore.core.keys import MetaKey
from backupstore.core.layout import Layout
from backupstore.core.manifest import Entry, Item, Totals, check_entry, read_manifest, write_manifest
from backupstore.core.replication import replications
from backupstore.core.schema_plan import Asked, plan_schema
from backupstore.core.schema_statements import SchemaText, read_schema
from backupstore.core.work import PurgeWork, VerifyWork, encode_work, read_work
from backupstore.errors import Corrupt, Refused
from tests.core.cql_samples import DESCRIBED
from tests.core.strategies import build
from tests.core.test_coverage import SCHEMA
from tests.core.test_notifications import SAID
from tests.core.test_tokenmap import BODY as TOKENMAP
from tests.fuzzing.samples import BODIES, DATA, TABLE
from tests.fuzzing.target import KEY, Target, named, text_of

_LAYOUT = Layout("p")
_MIB = 1 << 20


def _is_finite(value: object) -> bool:
    """Whether each number that our program will reckon with is one."""
    if isinstance(value, BaseModel):
        return all(_is_finite(getattr(value, field)) for field in type(value).model_fields)
    if isinstance(value, dict):
        return all(map(_is_finite, value.values()))
    if isinstance(value, tuple):
        return all(map(_is_finite, value))
    return not isinstance(value, float) or math.isfinite(value)


def document(kind: type[Own]) -> Callable[[bytes], None]:
    """Read, written and read again it is the same; and what it is asked it answers, or says that it cannot."""
    questions = [name for name, value in vars(kind).items() if isinstance(value, property)]

    def run(data: bytes) -> None:
        found = decode(kind, data, KEY)
        assert _is_finite(found)
        for question in questions:
            with suppress(ValueError):
                getattr(found, question)
        body = encode(found)
        json.loads(body)
        assert encode(decode(kind, body, KEY)) == body

    return run


def _items(pieces: list[bytes]) -> list[Item] | str:
    try:
        return list(read_manifest(pieces, KEY))
    except Corrupt as error:
        return error.message


def manifest(data: bytes) -> None:
    """The same however it is cut, no more than JSON, and as it was when it is written and read again."""
    cut = max(1, len(data) // 7)
    found = _items([data])
    assert _items([data[at : at + cut] for at in range(0, len(data), cut)]) == found
    items = list(read_manifest([data], KEY))
    json.loads(data)
    assert list(read_manifest(write_manifest(items), KEY)) == items
    Totals().plus(items)
    for item in items:
        if isinstance(item, Entry):
            key = check_entry(_LAYOUT, "n1", item)
            assert _LAYOUT.data(key) == item.path


def ring(data: bytes) -> None:
    """Written and read again it is the same."""
    found = tokenmap.parse(data, KEY)
    assert tokenmap.parse(tokenmap.encode(found), KEY) == found
    tokenmap.ring_id(tokenmap.places(found))


def coverage(data: bytes) -> None:
    """A schema, NUL, and a tokenmap."""
    schema, _, body = data.partition(b"\0")
    members = tokenmap.parse(body, KEY)
    keyspaces = replications(schema.decode("utf-8", "replace"))
    found = gaps([Holder("n1", members, keyspaces)])
    assert {gap.keyspace for gap in found} <= keyspaces.keys()


def schema(data: bytes) -> None:
    """There are no more keyspaces than the text speaks of."""
    text = text_of(data)
    assert len(replications(text)) <= text.upper().count("KEYSPACE")


def cql(data: bytes) -> None:
    """Its tokens together are the text; a statement is read the same from its own text, and what it is about is known."""
    text = text_of(data)
    assert "".join(token.text for token in cql_text.tokens(text)) == text
    for statement in cql_text.statements(text):
        (again,) = cql_text.statements(statement.text + ";")
        assert again.tokens == statement.tokens
        cql_objects.check_schema_text(statement)
        subject = cql_objects.subject_of(statement)
        assert [token.name for token in cql_text.tokens(cql_text.quoted(subject.name))] == [subject.name]
        cql_objects.types_named(statement, ["address"])
        cql_objects.functions_named(statement)


def compared_schema(data: bytes) -> None:
    """Names can be shown."""
    text = text_of(data)
    assert schema_changes.changes(text, text) == ()
    shown = (*schema_changes.changes(text, ""), *schema_changes.changes("", text))
    assert all(line.isprintable() for line in shown)
    assert all(name.isprintable() and grace >= 0 for name, grace in schema_changes.gc_grace(text).items())
    assert all(name.isprintable() and len(number) == 32 for number, name in schema_changes.table_ids(text).items())


def planned_schema(data: bytes) -> None:
    """Onto nothing a plan drops nothing; and each of its statements is one."""
    schema = read_schema(text_of(data))
    plan = plan_schema(schema, SchemaText(), {"dc1": 3}, Asked())
    assert not plan.dropped
    assert all(line.isprintable() for line in plan.told)
    for step in (*plan.steps, *plan.after):
        assert len(list(cql_text.statements(step.text))) == 1


def notification(data: bytes) -> None:
    """Whatever it says leads to places that a store can be asked for, and is told in short lines."""
    for message in (data, text_of(data)):
        told = notifications.read_notification_text(message, "backups")
        assert all(line.isprintable() and len(line) < 200 for line in told.unreadable)
        for subject in events.subjects(told.events):
            _LAYOUT.meta_folder(subject.node, subject.backup).encode()


def parsed_notification(data: bytes) -> None:
    """The same, parsed by somebody else."""
    try:
        message = json.loads(data)
    except (ValueError, RecursionError):
        return
    told = notifications.read_notification(message, "backups")
    assert all(line.isprintable() for line in told.unreadable)


def google_notification(data: bytes) -> None:
    """The attributes of a message, as JSON has them."""
    told = notifications.read_google_notification(_pushed(data).attributes, "backups")
    assert all(line.isprintable() for line in told.unreadable)
    events.subjects(told.events)


def timer(data: bytes) -> None:
    """A message, and what a timer has put into it."""
    cloud_events.timer_of(text_of(data))
    cloud_events.timer_of(_pushed(data).text)


def _pushed(data: bytes) -> cloud_events.Pushed:
    try:
        event = json.loads(data)
    except (ValueError, RecursionError):
        event = None
    return cloud_events.pushed_of(event)


def key(data: bytes) -> None:
    """What is read is what would be written, and leads nowhere else."""
    text = text_of(data)
    events.subjects([events.from_directory(text, "created")])
    parsed = key_parsing.parse(text)
    if parsed is not None:
        assert build(Layout(parsed.prefix), parsed.key) == text
    for layout in (Layout(), _LAYOUT):
        found = key_parsing.parse_in(layout, text)
        assert found is None or build(layout, found) == text
        component = key_parsing.data_key(layout, text)
        assert component is None or (layout.data(component) == text and ".." not in text.split("/"))
        name = layout.catalog_name(text)
        assert name is None or layout.catalog_backup(name) == text
        if isinstance(found, MetaKey) and found.attempt is not None:
            assert layout.attempt(found.node, found.backup, found.attempt) == text


def name(data: bytes) -> None:
    """What may be the name of something is harmless as one."""
    text = text_of(data)
    for harmless in (names.is_keyspace, names.is_table_folder, names.is_index_folder, names.is_component_file):
        assert not harmless(text) or names.is_segment(text)
    names.prefix_problems(text)
    names.neighbours(text, ["n1", text])
    assert names.is_segment(names.check_node_name(text))
    assert names.is_segment(names.check_backup_name(text))


def sstable(data: bytes) -> None:
    """A file's name, then the lines of TOC.txt, of which the last one is the digest."""
    file, *lines = text_of(data).split("\n")
    descriptor, component = sstables.parse_component(file)
    assert file == (f"{descriptor}-{component}" if component else descriptor)
    digest = lines[-1] if lines else None
    sstables.check_sstable(frozenset({component}), toc=lines, digest=digest, data_crc32=7)


def hosts(data: bytes) -> None:
    """Written and read again it is the same, and no node's backup goes to two. Mistakes have a line each."""
    text = text_of(data)
    separator = ";" if ";" in text else ","
    try:
        lines = host_list.parse_host_list(text, separator, "hosts")
    except Refused as error:
        if not error.message.replace("\n", "").isprintable():
            raise
        raise ValueError from error
    written = "\n".join(separator.join((str(line.is_seed), line.target, line.source)) for line in lines)
    again = host_list.parse_host_list(written, separator, "hosts")
    assert [replace(line, number=0) for line in again] == [replace(line, number=0) for line in lines]
    assert len({line.source for line in lines}) == len(lines)


def digest(data: bytes) -> None:
    """A digest as some provider says it."""
    text = text_of(data)
    etag_like(text, 100 * _MIB, 50 * _MIB)
    assert same_digest(text, text)
    said = plain_md5(text)
    assert said is None or len(said) == 16
    check = Check(KEY, size=1, sha256=None, md5=text, part_size=_MIB)
    check.take(b"x")
    check.finish()


def work(data: bytes) -> None:
    """Written and read again it is the same."""
    found = read_work(text_of(data))
    assert read_work(encode_work(found)) == found


def subset(data: bytes) -> None:
    """A part is written as it is read."""
    text = text_of(data)
    part = verification.subset_of(text, now=1e9, every=86400.0)
    assert part is None or verification.subset_of(str(part), now=0.0, every=1.0) == part
    if "%" not in text:
        assert str(verification.piece_of(text)) == text


_OBJECTS = [
    {"path": DATA, "MD5": None, "size": 4},
    {"path": DATA.replace("Data.db", "Index.db"), "MD5": "q1YqN", "size": 9, "sha256": "0f" * 32, "disk": 1},
    {"path": DATA.replace("Data.db", "CRC.db"), "MD5": None, "size": 0, "corrupt": "bit rot", "later": [1]},
]
_SECTIONS = [
    {"keyspace": "shop", "columnfamily": TABLE, "objects": _OBJECTS},
    {"objects": [], "columnfamily": "t", "keyspace": "system"},
]
MANIFEST_BODY = json.dumps(_SECTIONS).encode()
_KEYS = (
    f"p/n1/b/data/shop/{TABLE}/.by_name/nb-1-big-Data.db|p/n1/data-v/0a-1/shop/{TABLE}/nb-1-big-Data.db|{DATA}"
    "|p/n1/b/meta/attempt-12.json|p/index/backup_index/b/tokenmap_n1.json|p/index/backup_index/b/started_n1_17.timestamp"
    "|p/index/latest_backup/n1/tokenmap.json|index/announced/-/n1/b/started|index/announced/p/n1/b/corrupt"
    "|index/catalog/backups/b.json|p/index/findings/b/content.json|n1/b/meta/manifest.json"
)
_TOC = "nb-3gy3_0wks_5y1a82yzdgvkuh3vyd-big-SAI+aa+by_topic+Meta.db\nData.db\nIndex.db\nTOC.txt\n1234567890"
_PUSHED = {
    "message": {
        "data": "eyJ0aW1lciI6InB1cmdlIiwicHJlZml4IjoicCJ9",
        "messageId": "1215011316659232",
        "attributes": {
            "bucketId": "backups",
            "eventType": "OBJECT_FINALIZE",
            "objectId": "p/n1/b/meta/manifest.json",
            "payloadFormat": "JSON_API_V1",
        },
    },
    "subscription": "projects/p/subscriptions/s",
}
_DIGESTS = ("d41d8cd98f00b204e9800998ecf8427e", "1B2M2Y8AsgTpgAmY7PhCfg==", "0123456789abcdef0123456789abcdef-2")
_WORK = (
    PurgeWork(prefix="p", run="20261123T021500Z-0a", node="n1"),
    VerifyWork(prefix="", round="r", node="n1", backups=("b", "c"), piece="2/4"),
)

TARGETS = (
    *(
        Target(f"decode[{kind.__name__}]", document(kind), (decode, kind), (body,), (Corrupt,))
        for kind, body in BODIES.items()
    ),
    Target("manifest", manifest, (read_manifest, check_entry), (MANIFEST_BODY,), (Corrupt,)),
    Target(named(tokenmap.parse), ring, (tokenmap.parse,), (TOKENMAP, b'{"n1": {"tokens": ["-1", 2]}}'), (Corrupt,)),
    Target(named(gaps), coverage, (replications, gaps), (SCHEMA.encode() + b"\0" + TOKENMAP,), (Corrupt,)),
    Target(named(replications), schema, (replications,), (SCHEMA.encode(),)),
    Target(
        "cql",
        cql,
        (cql_text.tokens, cql_text.statements, cql_objects.subject_of, cql_objects.check_schema_text),
        (DESCRIBED.encode(), SCHEMA.encode()),
        (Corrupt,),
    ),
    Target(
        "schema_changes",
        compared_schema,
        (schema_changes.changes, schema_changes.table_ids, schema_changes.gc_grace),
        (
            DESCRIBED.encode(),
            b"CREATE TABLE shop.t (k int PRIMARY KEY) WITH ID = 0a0a0a0a-0000-1000-8000-000000000000 AND gc_grace_seconds = 5;",
        ),
        (Corrupt,),
    ),
    Target(
        named(read_schema),
        planned_schema,
        (read_schema, plan_schema),
        (DESCRIBED.encode(), SCHEMA.encode()),
        (Corrupt, Refused),
    ),
    Target(
        named(notifications.read_notification_text),
        notification,
        (notifications.read_notification_text, events.subjects),
        tuple(json.dumps(message).encode() for message in SAID.values()),
    ),
    Target(
        named(notifications.read_notification),
        parsed_notification,
        (notifications.read_notification,),
        tuple(json.dumps(message).encode() for message in SAID.values()),
    ),
    Target(
        named(notifications.read_google_notification),
        google_notification,
        (notifications.read_google_notification, cloud_events.pushed_of),
        (json.dumps(_PUSHED).encode(),),
        (Corrupt,),
    ),
    Target(named(cloud_events.timer_of), timer, (cloud_events.timer_of,), (json.dumps(_PUSHED).encode(),), (Corrupt,)),
    Target(
        "key_parsing",
        key,
        (key_parsing.parse, key_parsing.parse_in, key_parsing.data_key, events.from_directory),
        tuple(text.encode() for text in _KEYS.split("|")),
    ),
    Target(
        "names", name, (names.check_node_name, names.check_backup_name), (b"202611230215", b"n1.example"), (Refused,)
    ),
    Target(
        "sstables", sstable, (sstables.parse_component, sstables.check_sstable), (_TOC.encode(), b"nb-1-big-Data.db")
    ),
    Target(
        named(host_list.parse_host_list),
        hosts,
        (host_list.parse_host_list,),
        (b"# seed, target, source\nTrue,new1,old1\n\nFalse,new2,old2\n", b"true;a;b"),
        (ValueError,),
    ),
    Target("contents", digest, (contents.plain_md5, etag_like), tuple(map(str.encode, _DIGESTS)), (Corrupt,)),
    Target(named(read_work), work, (read_work,), tuple(encode_work(one).encode() for one in _WORK), (Corrupt,)),
    Target(
        named(verification.subset_of),
        subset,
        (verification.subset_of, verification.piece_of),
        (b"5%", b"3/20", b"0.125%"),
        (ValueError,),
    ),
)
