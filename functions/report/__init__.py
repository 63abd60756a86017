"""Report: what monitoring is told, at set times."""
