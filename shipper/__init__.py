"""What runs on a Cassandra node, and the command line."""
