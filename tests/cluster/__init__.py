"""Whole clusters, restored by their agents: real nodes, the program as it is installed, every row compared."""
