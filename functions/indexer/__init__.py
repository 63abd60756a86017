"""Keeps the catalog and stock's index up to date, told by events of the bucket."""
