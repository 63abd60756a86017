"""A machine that is lost, and an empty one that joins the ring at its address: another node of the same name.

Cassandra's own ``replace_address`` would have the new one take over the host id as well, where the address is the same.
"""

from __future__ import annotations

import re
import shutil
import time

from tests.harness import cassandra_yaml
from tests.harness.cluster import Cluster
from tests.harness.errors import HarnessError
from tests.harness.node import Node

_SEEDS = "org.apache.cassandra.locator.SimpleSeedProvider"
_MEMBER = re.compile(r"^[UD]N\s+(\S+)\s.*?([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})", re.MULTILINE)


def wipe(node: Node) -> None:
    """The machine is gone: kill the node and remove all that it holds."""
    node.kill()
    for folder in (*node.data_dirs, node.commitlog, node.hints, node.saved_caches):
        shutil.rmtree(folder, ignore_errors=True)


def replace(cluster: Cluster, node: Node) -> None:
    """The others remove this node, which was wiped; it comes back empty with a new host id, and streams its part from them.

    It waits until all agree on the ring. The next start is an ordinary one again.
    """
    others = [each for each in cluster.nodes if each != node]
    other = others[0]
    before = host_ids(other)
    for each in others:
        _wait_down(each, node)
    other.nodetool("removenode", before[node.ip])
    seeds = ",".join(each.ip for each in others)  # a seed would not bootstrap
    settings = cassandra_yaml.settings(node.config, node.number, node.directory, [each.ip for each in cluster.nodes])
    settings |= {"seed_provider": [{"class_name": _SEEDS, "parameters": [{"seeds": seeds}]}], "auto_bootstrap": True}
    arguments = node.directory / "conf" / "jvm.args"
    usual = node.yaml.read_text(), arguments.read_text()
    node.yaml.write_text(cassandra_yaml.render(settings))
    # It gives up when no seed has answered it for so long, and they do not speak with an address that has just left.
    arguments.write_text(usual[1].replace("ring_delay_ms=1000", "ring_delay_ms=6000"))
    node.start()
    cluster.wait_up()
    node.yaml.write_text(usual[0])
    arguments.write_text(usual[1])
    if host_ids(other)[node.ip] == before[node.ip]:
        raise HarnessError(f"{node.name} has the host id that it had before")


def host_ids(node: Node) -> dict[str, str]:
    """By address, as one node sees its ring."""
    return dict(_MEMBER.findall(node.nodetool("status")))


def _wait_down(seen_by: Node, node: Node, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not re.search(rf"^DN\s+{re.escape(node.ip)}\s", seen_by.nodetool("status"), re.MULTILINE):
        if time.monotonic() > deadline:
            raise HarnessError(f"{seen_by.name} does not see that {node.name} is down")
        time.sleep(0.5)
