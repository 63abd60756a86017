"""Verify: many cluster backups at once, one node after the other."""
