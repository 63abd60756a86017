"""Tests of the examination of a node and its bucket."""
