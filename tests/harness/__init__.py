"""Real Apache Cassandra clusters for tests, for the demo and by hand: no docker, no root.

    with Cluster.create(ClusterConfig(nodes=3, data_dirs=2)) as cluster:
        cluster.start()

        with cluster.session() as session:
            schema.create(session, schema.Schema.fitting(cluster.config))
            loading.load(session)
            held = reading.read_all(session)

By hand: `python -m tests.harness --help`.
"""

from __future__ import annotations

from tests.harness.cluster import Cluster
from tests.harness.config import ClusterConfig
from tests.harness.driver import Session
from tests.harness.errors import HarnessError
from tests.harness.node import Node

__all__ = ["Cluster", "ClusterConfig", "HarnessError", "Node", "Session"]
