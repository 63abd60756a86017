"""Restoring one node: check everything, fetch everything, and only then touch the node; undo until the commit."""
