"""A ring of three taken over by three other nodes, verb by verb: back once, then for good."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.harness import Cluster, ClusterConfig
from tests.shipper.restore.part import FORWARD
from tests.shipper.restore.real import Wired, wire
from tests.shipper.restore.real_part import obey

pytestmark = [pytest.mark.cassandra, pytest.mark.timeout(1800)]


@dataclass(frozen=True)
class Rings:
    """The rows of the first ring, and what its nodes were; the second ring, whose nodes take theirs over in turn."""

    rows: dict[str, list[tuple[object, ...]]]
    tokens: frozenset[frozenset[str]]
    host_ids: frozenset[str]
    sources: tuple[str, ...]
    here: Cluster
    wired: tuple[Wired, ...]

    def all_obey(self, verb: str, job: str) -> None:
        together = frozenset(node.ip for node in self.here.nodes)
        with ThreadPoolExecutor(len(self.wired)) as pool:
            answers = [
                pool.submit(obey, wired, verb, "one", job, source=source, remote=True, together=together)
                for wired, source in zip(self.wired, self.sources, strict=True)
            ]
            for answer in answers:
                answer.result()


def who(cluster: Cluster) -> tuple[frozenset[frozenset[str]], frozenset[str]]:
    """Tokens and host ids of all nodes, each as it knows itself."""
    found = []
    for node in cluster.nodes:
        with cluster.session(node, consistency="ONE") as session:
            found.append(session.execute("SELECT host_id, tokens FROM system.local").one())
    return frozenset(frozenset(row.tokens) for row in found), frozenset(str(row.host_id) for row in found)


def fill(cluster: Cluster, words: str) -> None:
    """All that differs between the two rings; what else there is to restore is tried on single nodes."""
    with cluster.session() as session:
        session.execute(
            "CREATE KEYSPACE kept WITH replication = {'class': 'NetworkTopologyStrategy', 'datacenter1': 3}"
        )
        session.execute("CREATE TABLE kept.words (k int PRIMARY KEY, word text)")
        session.execute("CREATE TABLE kept.counts (k int PRIMARY KEY, n counter)")
        for key, word in enumerate(words.split()):
            session.execute("INSERT INTO kept.words (k, word) VALUES (%s, %s)", (key, word))
            session.execute("UPDATE kept.counts SET n = n + %s WHERE k = %s", (len(word), key))


def held(cluster: Cluster) -> dict[str, list[tuple[object, ...]]]:
    """Every row, as all replicas have it."""
    with cluster.session() as session:
        return {
            table: sorted(tuple(row) for row in session.execute(f"SELECT * FROM kept.{table}"))  # noqa: S608 - our own
            for table in ("words", "counts")
        }


@pytest.fixture(scope="module")
def rings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rings]:
    folder: Path = tmp_path_factory.mktemp("remote-ring")
    config = ClusterConfig(name="remote-ring", nodes=3, num_tokens=4)
    with Cluster.create(config) as source:
        source.start()
        fill(source, "what the first ring knew and the second one has never heard of")
        for node in source.nodes:
            wire(node, folder / f"source{node.number}", folder / "bucket").back_up("one")
        rows = held(source)
        tokens, host_ids = who(source)
        sources = tuple(node.ip for node in source.nodes)
        with Cluster.create(config) as here:  # while the first one has its addresses
            source.stop()
            for node in here.nodes:  # tokens that lie between those of the first ring
                text = node.yaml.read_text()
                own = ",".join(str(token + 777) for token in config.tokens(node.number))
                before = ",".join(map(str, config.tokens(node.number)))
                assert before in text
                node.yaml.write_text(text.replace(before, own))
            here.start()
            fill(here, "its own")
            wired = tuple(wire(node, folder / f"here{node.number}", folder / "bucket") for node in here.nodes)
            yield Rings(rows, tokens, host_ids, sources, here, wired)


def test_all_go_back_even_from_the_last_step_before_the_commit(rings: Rings) -> None:
    before, rows = who(rings.here), held(rings.here)
    yaml = [node.yaml.read_bytes() for node in rings.here.nodes]
    for verb in FORWARD[:-1]:
        rings.all_obey(verb, "restore-1")
    assert who(rings.here)[0] == rings.tokens
    rings.all_obey("put_back", "restore-1")
    assert not any(node.running for node in rings.here.nodes)
    rings.all_obey("start", "restore-1")
    rings.here.wait_up()
    assert who(rings.here) == before
    assert held(rings.here) == rows != rings.rows
    assert [node.yaml.read_bytes() for node in rings.here.nodes] == yaml


def test_the_other_rings_rows_and_tokens_under_host_ids_of_their_own(rings: Rings) -> None:
    before = who(rings.here)
    yaml = [node.yaml.read_bytes() for node in rings.here.nodes]
    for verb in FORWARD:
        rings.all_obey(verb, "restore-2")
    rings.here.wait_up()
    tokens, host_ids = who(rings.here)
    assert tokens == rings.tokens
    assert not host_ids & (rings.host_ids | before[1])
    assert held(rings.here) == rings.rows
    assert [node.yaml.read_bytes() for node in rings.here.nodes] == yaml
    assert rings.here.nodes[0].nodetool("status").count("UN ") == 3
    assert "DN " not in rings.here.nodes[0].nodetool("status")
    rings.here.stop()
    rings.here.start()
    assert who(rings.here) == (tokens, host_ids)
    assert held(rings.here) == rings.rows
