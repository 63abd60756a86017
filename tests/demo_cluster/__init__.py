"""A whole cluster, backed up by its agents, lost and restored, here and on other nodes: `make demo-cluster`."""
