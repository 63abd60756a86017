"""Everything that knows Cassandra: CQL, nodetool, cassandra.yaml, data directories, SSTables, starting and stopping."""
