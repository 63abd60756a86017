"""Tests of restoring a node, and of what it is made of."""
