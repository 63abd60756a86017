"""Adapters of ``ports.ObjectStore``; all of them pass one conformance suite."""
