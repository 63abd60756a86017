"""The main job, end to end, on a real Cassandra: `make demo`."""
