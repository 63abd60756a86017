"""Rings that differ from the one that was backed up, and what tells whether each node holds its own replicas."""

from __future__ import annotations

import re
import time
import uuid

from tests.demo.story import Rows
from tests.harness import Cluster, Node, reading
from tests.harness.driver import Consistency

_PLACE = "dc={dc}\nrack={rack}\n"
_MISMATCH = re.compile(r"^Mismatch \(Blocking\): ([0-9]+)$", re.MULTILINE)


def seat(node: Node, *, tokens: tuple[int, ...] = (), dc: str = "datacenter1", rack: str = "rack1") -> None:
    """Before its first start: another place than the one that the node was made for. ``tokens``: its own when empty."""
    (node.directory / "conf/cassandra-rackdc.properties").write_text(_PLACE.format(dc=dc, rack=rack))
    before, after = (",".join(map(str, each)) for each in (node.config.tokens(node.number), tokens))
    if tokens:
        text = node.yaml.read_text()
        assert before in text
        node.yaml.write_text(text.replace(before, after))


def rows_at(cluster: Cluster, consistency: Consistency, seconds: float = 60) -> Rows:
    """What `rows_of` tells, where not all replicas of a keyspace can be there; indexes that are being built are waited for."""
    end = time.monotonic() + seconds
    with cluster.session(consistency=consistency) as session:
        rows = reading.read_all(session)
        while True:
            try:
                return {**rows, **reading.query_indexes(session)}
            except Exception:
                if time.monotonic() > end:
                    raise
                time.sleep(0.5)


def disagreements(cluster: Cluster, rows: Rows) -> int:
    """How many customers some of their replicas lack, or have otherwise. To be asked before anything else reads: that mends it."""
    before = _mismatches(cluster)
    with cluster.session(consistency="ALL") as session:
        one = session.prepare("SELECT * FROM shop.customers WHERE id = ?")
        for row in rows["shop.customers"]:
            session.execute(one, (uuid.UUID(str(row["id"])),))
    return _mismatches(cluster) - before


def _mismatches(cluster: Cluster) -> int:
    """Reads that had to be repaired, as the nodes that coordinated them count."""
    found = [match for node in cluster.nodes for match in _MISMATCH.findall(node.nodetool("netstats"))]
    assert len(found) == len(cluster.nodes), "every node counts"
    return sum(map(int, found))
