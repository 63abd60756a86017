"""The files of a new cluster: conf and scripts of each node, and what the nodes share.

| Path | What |
|---|---|
| `cluster.json` | what was asked for and claimed, to open the cluster again elsewhere |
| `peers` | "ip jmx-port" of each node, one a line, for the nodetool scripts |
| `guard` | kills what runs when the owner is gone |
| `closed` | there as soon as the cluster was taken down: nothing starts any more |
| `node<i>/` | conf, bin, logs, pid, data…, commitlog, hints, saved_caches, cdc_raw |
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from tests.harness import archive, cassandra_yaml, jars, jvm, scripts
from tests.harness.claims import Claim
from tests.harness.config import ClusterConfig
from tests.harness.node import Node


def nodes_of(config: ClusterConfig, base: Path, claim: Claim) -> tuple[Node, ...]:
    """The nodes that the configuration asks for, at the addresses claimed."""
    return tuple(
        Node(config, number, claim.ip(number), port, base / f"node{number}")
        for number, port in enumerate(claim.jmx_ports, 1)
    )


def write(config: ClusterConfig, base: Path, claim: Claim, *, remove: bool) -> None:
    """Write all files of a new cluster."""
    nodes = nodes_of(config, base, claim)
    ips = [node.ip for node in nodes]
    quick = archive.nodetool_archive(config.version)
    for node in nodes:
        _write_conf(node, ips)
        scripts.write_node_scripts(node.directory, jars.java(), node.jmx_port, quick)
    (base / "peers").write_text("".join(f"{node.ip} {node.jmx_port}\n" for node in nodes))
    scripts.write_guard(base, remove=remove)
    claimed = {"network": claim.network, "jmx_ports": claim.jmx_ports, "claim": str(claim.file)}
    body = {"config": config.as_json(), **claimed}
    (base / "cluster.json").write_text(json.dumps(body, indent=1))


def read(base: Path) -> tuple[ClusterConfig, Claim]:
    """What a cluster's file says."""
    body = json.loads((base / "cluster.json").read_text())
    claim = Claim(body["network"], tuple(body["jmx_ports"]), Path(body["claim"]))
    return ClusterConfig.of_json(body["config"]), claim


def _write_conf(node: Node, ips: Sequence[str]) -> None:
    conf = node.directory / "conf"
    conf.mkdir(parents=True)
    node.logs.mkdir()
    node.cdc_raw.mkdir()
    datacenter, rack = node.config.place(node.number)
    values = cassandra_yaml.settings(node.config, node.number, node.directory, list(ips))
    files = {
        "cassandra.yaml": cassandra_yaml.render(values),
        "cassandra-rackdc.properties": f"dc={datacenter}\nrack={rack}\n",
        "logback.xml": jvm.LOGBACK.format(logs=node.logs),
        "logback-tools.xml": jvm.TOOLS_LOGBACK,
        "jvm.args": jvm.argument_file(jvm.server_arguments(node.config, node.directory, node.jmx_port)),
        "tool.args": jvm.argument_file(jvm.tool_arguments(node.config, node.directory)),
    }
    for name, text in files.items():
        (conf / name).write_text(text)
