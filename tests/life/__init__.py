"""A cluster's life over weeks, on a real Cassandra and a real S3 server, in minutes."""
