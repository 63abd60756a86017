"""Deletes what the settings no longer keep: a timer plans, and messages of a queue do a node each."""
