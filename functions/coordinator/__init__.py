"""Coordinates cluster restores and backups: what operators ask and nodes answer leads to the next commands."""
