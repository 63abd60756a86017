"""Hypothesis strategies for keys, entries and facts."""

from __future__ import annotations

from hypothesis import strategies as st

from backupstore.core.documents import ClusterBackup, NodeFact, Place
from backupstore.core.keys import AnnouncedKey, DataKey, Key, LatestKey, MetaKey, OwnKey, RowKey
from backupstore.core.layout import NODE_DATA_FOLDERS, OWN_AREAS, Layout
from backupstore.core.manifest import Entry, Item, TableSection
from backupstore.core.tokenmap import ring_id

AWKWARD = "ab01_.-: é日~+json"
segments = st.one_of(
    st.text(AWKWARD, min_size=1, max_size=20),
    st.sampled_from(["started_x_5.timestamp", "tokenmap_a.json", "meta", "index_", "x_7", "differential_", "10.0.0.1"]),
).filter(lambda text: text not in {".", ".."})
nodes = segments.filter(lambda text: text != "index" and text not in NODE_DATA_FOLDERS)
backups = segments.filter(lambda text: text != "index" and text not in NODE_DATA_FOLDERS)
layouts = st.one_of(
    st.just(Layout()), st.builds(Layout, st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.]{0,8}", fullmatch=True))
)
layouts = layouts.filter(lambda layout: layout.prefix != "index")

_index_folders = st.one_of(st.none(), st.from_regex(r"\.[a-z_]{1,9}", fullmatch=True))
keyspaces = st.from_regex(r"[A-Za-z0-9_]{1,9}", fullmatch=True)
tables = st.from_regex(r"[a-z_]{1,9}-[0-9a-f]{32}", fullmatch=True)
files = st.from_regex(r"[a-z]{2}-[0-9]{1,3}-big-[A-Za-z+]{1,9}\.(db|crc32)", fullmatch=True)

data_keys = st.one_of(
    st.builds(DataKey, nodes, keyspaces, tables, files, _index_folders),
    st.builds(DataKey, nodes, keyspaces, tables, files, _index_folders, backup=backups),
    st.builds(
        DataKey,
        nodes,
        keyspaces,
        tables,
        files,
        _index_folders,
        version=st.from_regex(r"[0-9a-f-]{1,70}", fullmatch=True),
    ),
)
keys: st.SearchStrategy[Key] = st.one_of(
    st.builds(MetaKey, nodes, backups, segments),
    data_keys,
    st.builds(AnnouncedKey, nodes, backups, st.sampled_from(["started", "finished", "corrupt"])),
    st.builds(
        RowKey, backups, st.sampled_from(["tokenmap", "schema", "manifest", "differential", "incremental"]), nodes
    ),
    st.builds(RowKey, backups, st.sampled_from(["started", "finished"]), nodes, st.integers(0, 10**12 - 1)),
    st.builds(LatestKey, nodes, segments),
    st.builds(
        OwnKey,
        st.sampled_from(sorted(OWN_AREAS)),
        st.lists(segments, min_size=1, max_size=3).map("/".join),
    ),
)


def build(layout: Layout, key: Key) -> str:
    """The key's text, by the layout's own methods."""
    match key:
        case MetaKey():
            return layout.meta(key.node, key.backup, key.file)
        case DataKey():
            return layout.data(key)
        case AnnouncedKey():
            return layout.announced(key.node, key.backup, key.what)
        case RowKey():
            return layout.row(key)
        case LatestKey():
            return layout.latest(key.node, key.file)
        case OwnKey():
            return f"{layout.root}index/{key.area}/{key.rest}"


_texts = st.text(max_size=30).filter(lambda text: text.isprintable())
_sections = st.builds(TableSection, st.sampled_from(["ks", "system", "K_1"]), st.sampled_from(["t", "u-" + "0a" * 16]))


@st.composite
def manifests(draw: st.DrawFn) -> list[Item]:
    """Items in the order of a manifest."""
    items: list[Item] = []
    for section in draw(st.lists(_sections, unique=True, max_size=4)):
        items.append(section)
        entries = st.builds(
            Entry,
            st.just(section.keyspace),
            st.just(section.table),
            _texts.filter(bool),
            st.integers(0, 2**63 - 1),
            st.none() | _texts,
            st.sampled_from([None, "0f" * 32]),
            st.none() | _texts,
            st.none() | st.integers(0, 9),
        )
        items += draw(st.lists(entries, max_size=4))
    return items


_times = st.integers(1, 9).map(float)
_rings = st.dictionaries(
    st.sampled_from(["a1", "a2", "b1", "10.0.0.1"]),
    st.builds(Place, dc=st.sampled_from(["", "dc1", "dc2"]), tokens=st.integers(0, 2)),
    max_size=3,
)


@st.composite
def documents(draw: st.DrawFn, name: str = "n1") -> ClusterBackup:
    """A cluster backup with any facts about a few nodes."""
    facts = {}
    rings = {}
    for node in draw(st.sets(st.sampled_from(["a1", "a2", "b1"]))):
        ring = draw(st.none() | _rings)
        if ring is not None:
            rings[ring_id(ring)] = ring
        facts[node] = NodeFact(
            started=draw(_times),
            finished=draw(st.none() | _times),
            abandoned=draw(st.booleans()),
            writer=draw(st.sampled_from(["shipper", "stock"])),
            mode=draw(st.sampled_from(["full", "differential"])),
            partial=draw(st.booleans()),
            size=draw(st.integers(0, 9)),
            objects=draw(st.integers(0, 9)),
            corrupt=draw(st.integers(0, 1)),
            problem=draw(st.none() | st.just("unreadable")),
            ring=ring_id(ring) if ring is not None else None,
            seen="s",
        )
    return ClusterBackup(revision="r", name=name, nodes=dict(sorted(facts.items())), rings=dict(sorted(rings.items())))
