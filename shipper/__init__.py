"""What runs on a Cassandra node, and the command line."""

VERSION = "0.1.0"
