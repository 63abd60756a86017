"""A schema as ``DESCRIBE SCHEMA WITH INTERNALS`` tells it, with everything that a rough reader stumbles over."""

from __future__ import annotations

DESCRIBED = """CREATE KEYSPACE shop WITH replication = {'class': 'NetworkTopologyStrategy', 'dc1': '3'}  AND durable_writes = true;

CREATE TYPE shop.person (
    name text,
    home frozen<address>
);

CREATE TYPE shop.address (
    street text,
    zip int
);

CREATE FUNCTION shop.plus(a int, b int)
    CALLED ON NULL INPUT
    RETURNS int
    LANGUAGE java
    AS $$return a + b; // ' " */$$;

CREATE FUNCTION shop.where(p frozen<person>)
    RETURNS NULL ON NULL INPUT
    RETURNS frozen<address>
    LANGUAGE java
    AS $$return p.getUDTValue("home");$$;

CREATE AGGREGATE shop.total(int)
    SFUNC plus
    STYPE int
    INITCOND 0;

CREATE TABLE shop."Quoted;Table" (
    "Id" int,
    at timestamp,
    "It's ""so""; --" text,
    gone int,
    owner frozen<person> STATIC,
    tags map<text, frozen<list<text>>>,
    close vector<float, 3>,
    PRIMARY KEY (("Id"), at)
) WITH ID = 0a1b2c3d-0000-11ee-8000-0123456789ab
    AND CLUSTERING ORDER BY (at DESC)
    AND comment = 'CREATE TABLE x.y; -- it''s /* only */ text'
    AND compaction = {'class': 'org.apache.cassandra.db.compaction.SizeTieredCompactionStrategy', 'max_threshold': '32'};
ALTER TABLE shop."Quoted;Table" DROP gone USING TIMESTAMP 1700000000000000;

CREATE CUSTOM INDEX by_tags ON shop."Quoted;Table" (values(tags)) USING 'StorageAttachedIndex' WITH OPTIONS = {'a': 'b'};

CREATE INDEX "By""Close" ON shop."Quoted;Table" (full(tags));

CREATE MATERIALIZED VIEW shop.by_owner AS
    SELECT "Id", at, "It's ""so""; --"
    FROM shop."Quoted;Table"
    WHERE at IS NOT NULL AND "Id" IS NOT NULL AND "It's ""so""; --" = 'a;b'
    PRIMARY KEY (at, "Id")
 WITH ID = 0a1b2c3d-0000-11ee-8000-0123456789ac
    AND CLUSTERING ORDER BY ("Id" ASC);

CREATE TABLE shop.plain (
    k int PRIMARY KEY,
    v text
) WITH comment = '';
"""
