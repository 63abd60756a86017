"""Tests of everything that knows Cassandra, most of them on a real node."""
