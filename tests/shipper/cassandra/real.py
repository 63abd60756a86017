"""A node of the harness as the shipper sees it, and its snapshots as values to compare."""

from __future__ import annotations

import zlib
from pathlib import Path

from backupstore.core.sstables import Problem, check_sstable, parse_component
from shipper.cassandra import data_directories
from shipper.cassandra.addresses import cql_address
from shipper.cassandra.configuration import Configuration, read_configuration
from shipper.cassandra.cql import CqlAccess, Tls
from shipper.cassandra.naming import Naming
from shipper.cassandra.node import LocalNode
from shipper.cassandra.nodetool import Nodetool, NodetoolAccess
from shipper.cassandra.port import TableFolder
from tests.harness import Node

Login = tuple[str, str]
NOBODY: Login = ("", "")

# What the schema of the harness lacks: an uncompressed table, a dropped column; and a row for some tables.
MORE_THAN_THE_HARNESS = (
    "CREATE TABLE shop.plain (k int PRIMARY KEY, v text) WITH compression = {'enabled': false}",
    "CREATE TABLE shop.shrunk (k int PRIMARY KEY, gone text, v text)",
    "ALTER TABLE shop.shrunk DROP gone",
    "INSERT INTO shop.plain (k, v) VALUES (1, 'one')",
    "INSERT INTO shop.customers (id, name) VALUES (uuid(), 'name1')",
    "INSERT INTO shop.orders (day, at, kind) VALUES ('monday', now(), 'kind1')",
    "INSERT INTO shop.documents (k, topic) VALUES (1, 'topic1')",
    'INSERT INTO "MixedCase"."Tab" (k, "C", v) VALUES (1, 2, \'v\')',
)


def configuration(node: Node) -> Configuration:
    return read_configuration(node.yaml, node.directory)


def access(node: Node, login: Login = NOBODY, tls: Tls | None = None) -> CqlAccess:
    return CqlAccess(cql_address(configuration(node), tls=tls is not None), *login, tls, connect_timeout=20)


def nodetool(node: Node) -> Nodetool:
    return Nodetool(NodetoolAccess(executable=str(node.script("nodetool"))), timeout=60)


def local(node: Node, cql: CqlAccess, naming: Naming | None = None) -> LocalNode:
    return LocalNode(configuration(node), cql, nodetool(node), naming or Naming(resolve=False))


def problems(table: TableFolder) -> list[Problem]:
    """What the checks find in a table's snapshot, index folders included."""
    found: list[Problem] = []
    sstables: dict[tuple[Path, str], set[str]] = {}
    for each in data_directories.components(table):
        descriptor, component = parse_component(each.file)
        sstables.setdefault((each.path.parent, descriptor), set()).add(component)
    for (folder, descriptor), parts in sstables.items():
        digest = (folder / f"{descriptor}-Digest.crc32").read_text()
        toc = (folder / f"{descriptor}-TOC.txt").read_text().splitlines()
        crc = zlib.crc32((folder / f"{descriptor}-Data.db").read_bytes())
        found += check_sstable(parts, toc=toc, digest=digest, data_crc32=crc)
    return found
