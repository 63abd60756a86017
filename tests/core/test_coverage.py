"""Ring coverage against Cassandra's own placement, written down once more as literally as can be, token by token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backupstore.core.coverage import Gap, Holder, gaps, place
from backupstore.core.replication import Replication, replications
from backupstore.core.tokenmap import RingMember

Ring = dict[str, RingMember]
SIMPLE_2 = Replication("SimpleStrategy", (("replication_factor", "2"),))


def oracle(ring: Mapping[str, RingMember], replication: Replication, token: int) -> set[str]:
    """Who holds a token, as ``calculateNaturalReplicas`` of Cassandra 4 finds it: one walk over the whole ring."""
    by_token = {each: name for name, member in ring.items() for each in member.tokens}
    ordered = sorted(by_token)
    walk = [each for each in ordered if each >= token] + [each for each in ordered if each < token]
    options = dict(replication.options)
    if replication.strategy == "SimpleStrategy":
        total, full = factor(options["replication_factor"])
        found: list[str] = []
        for each in walk:
            if len(found) < total and by_token[each] not in found:
                found.append(by_token[each])
        return set(found[:full])
    racks: dict[str, set[str]] = {}
    nodes: dict[str, set[str]] = {}
    for name, member in ring.items():
        racks.setdefault(member.dc, set()).add(member.rack)
        nodes.setdefault(member.dc, set()).add(name)
    left = {dc: min(factor(options[dc])[0], len(nodes[dc])) for dc in nodes if dc in options}
    transient = {dc: max(left[dc] - factor(options[dc])[1], 0) for dc in left}
    repeats = {dc: factor(options[dc])[0] - len(racks[dc]) for dc in left}
    met: set[tuple[str, str]] = set()
    replicas: dict[str, bool] = {}
    for each in walk:
        name = by_token[each]
        where = ring[name].dc, ring[name].rack
        if left.get(where[0], 0) == 0 or name in replicas:
            continue
        if where in met:
            if repeats[where[0]] <= 0:
                continue
            repeats[where[0]] -= 1
        met.add(where)
        replicas[name] = left[where[0]] > transient[where[0]]
        left[where[0]] -= 1
    return {name for name, is_full in replicas.items() if is_full}


def factor(text: str) -> tuple[int, int]:
    total, _, transient = text.partition("/")
    return int(total), int(total) - int(transient or 0)


@st.composite
def rings(draw: st.DrawFn) -> Ring:
    tokens = draw(st.lists(st.integers(-50, 50), min_size=1, max_size=24, unique=True))
    number = draw(st.integers(1, min(8, len(tokens))))
    owned: list[list[int]] = [[] for _ in range(number)]
    for at, token in enumerate(tokens):
        owned[at if at < number else draw(st.integers(0, number - 1))].append(token)
    dcs, racks = st.sampled_from(["dc1", "dc2"]), st.sampled_from(["r1", "r2", "r3"])
    return {f"n{at}": RingMember(tuple(each), draw(racks), draw(dcs)) for at, each in enumerate(owned)}


factors = st.sampled_from(["0", "1", "2", "3", "5", "3/1", "2/2"])
replication = st.one_of(
    factors.map(lambda text: Replication("SimpleStrategy", (("replication_factor", text),))),
    st.dictionaries(st.sampled_from(["dc1", "dc2", "dc3"]), factors).map(
        lambda options: Replication("NetworkTopologyStrategy", tuple(options.items()))
    ),
)


@given(rings(), replication, st.integers(-60, 60))
def test_replicas_are_where_cassandra_places_them(ring: Ring, how: Replication, token: int) -> None:
    placed = list(place(ring, how))
    assert {name for each in placed for name in each.at(token)} == oracle(ring, how, token)


PROBES = range(-61, 62)


@given(rings(), replication, st.data())
def test_a_keyspace_is_covered_when_every_token_has_a_replica_that_was_backed_up(
    ring: Ring, how: Replication, data: st.DataObject
) -> None:
    names = data.draw(st.lists(st.sampled_from(sorted(ring)), min_size=1, unique=True))
    held = [Holder(name, ring, {"ks": how}) for name in names]
    covered = all(oracle(ring, how, token) & set(names) for token in PROBES)
    assert (gaps(held) == ()) == covered


@given(rings(), rings(), replication, replication, st.data())
def test_each_node_backup_holds_what_its_own_node_saw(
    first: Ring, second: Ring, before: Replication, after: Replication, data: st.DataObject
) -> None:
    early = data.draw(st.lists(st.sampled_from(sorted(first)), min_size=1, unique=True))
    late = data.draw(st.lists(st.sampled_from(sorted(second)), unique=True))
    held = [*(Holder(n, first, {"ks": before}) for n in early), *(Holder(n, second, {"ks": after}) for n in late)]
    covered = all(
        oracle(first, before, token) & set(early) or oracle(second, after, token) & set(late) for token in PROBES
    )
    assert (gaps(held) == ()) == covered


def three(racks: Sequence[str] = ("r1", "r1", "r1")) -> Ring:
    return {f"n{at}": RingMember((at * 10,), rack, "dc1") for at, rack in enumerate(racks)}


def test_a_gap_says_how_much_is_missing_and_who_held_it() -> None:
    one = Replication("SimpleStrategy", (("replication_factor", "1"),))
    found = gaps([Holder(name, three(), {"ks": one, "safe": SIMPLE_2}) for name in ("n0", "n2")])
    assert found == (Gap("ks", "1 of 3 token ranges are in no node backup; they were held by n1"),)


@pytest.mark.parametrize(
    ("how", "ring", "part"),
    [
        (Replication("OurStrategy"), three(), "OurStrategy"),
        (Replication(""), three(), "none"),
        (Replication("SimpleStrategy"), three(), "no number"),
        (Replication("NetworkTopologyStrategy", (("dc1", "many"),)), three(), "no number"),
        (Replication("NetworkTopologyStrategy", (("dc1", "1"),)), three(["r1", "", "r1"]), "racks"),
        (Replication("NetworkTopologyStrategy", (("dc1", "1"),)), {"n0": RingMember((1,), "r1")}, "datacenter"),
        (SIMPLE_2, {"n0": RingMember((1,)), "n1": RingMember((1,))}, "one token to two"),
        (SIMPLE_2, {"n0": RingMember(())}, "holds a token"),
    ],
)
def test_what_cannot_be_told_is_never_taken_for_covered(how: Replication, ring: Ring, part: str) -> None:
    (gap,) = gaps([Holder(name, ring, {"ks": how}) for name in ring])
    assert not gap.known
    assert part in gap.why


def test_a_keyspace_that_nobody_could_have_shipped_is_no_gap() -> None:
    keyspaces = {"system": Replication("LocalStrategy"), "system_traces": SIMPLE_2}
    assert gaps([Holder("n0", three(), keyspaces)]) == ()


def test_a_datacenter_that_was_never_backed_up_is_a_gap() -> None:
    how = Replication("NetworkTopologyStrategy", (("elsewhere", "3"),))
    (gap,) = gaps([Holder(name, three(), {"ks": how}) for name in three()])
    assert gap.known
    assert "3 of 3" in gap.why


def test_nothing_finished_covers_nothing() -> None:
    assert gaps([]) == (Gap("", "there is no finished node backup"),)


SCHEMA = """
CREATE KEYSPACE shop WITH replication = {'class': 'NetworkTopologyStrategy', 'dc1': '3', 'Eu-West': '2/1'}  AND durable_writes = true;

/*
Warning: Keyspace system_views is a virtual keyspace and cannot be recreated with CQL.
CREATE KEYSPACE system_views WITH replication = {'class': 'X'};*/
-- CREATE KEYSPACE none WITH replication = {'class': 'X'};
CREATE TABLE shop.t (k int PRIMARY KEY) WITH comment = 'it''s; CREATE KEYSPACE not_me WITH replication = {};';
CREATE FUNCTION shop.f () RETURNS int LANGUAGE java AS $$ ; CREATE KEYSPACE nor_me $$;
create keyspace if not exists "Mixed""Case" with durable_writes = true and replication =
  { 'replication_factor' : 1, 'class' : 'org.apache.cassandra.locator.SimpleStrategy' };
CREATE KEYSPACE bare;
"""


def test_keyspaces_are_read_as_cassandra_writes_them() -> None:
    assert replications(SCHEMA) == {
        "shop": Replication("NetworkTopologyStrategy", (("dc1", "3"), ("Eu-West", "2/1"))),
        'Mixed"Case': Replication("SimpleStrategy", (("replication_factor", "1"),)),
        "bare": Replication(""),
    }


@given(st.text(alphabet="CREATE KEYSPC\"'/*-$;{}:,w=\n").map(lambda text: f"CREATE KEYSPACE a{text}"))
def test_no_text_is_too_strange_and_none_changes_what_was_said_before(text: str) -> None:
    assert replications(SCHEMA + text) == {**replications(SCHEMA), **replications(text)}
