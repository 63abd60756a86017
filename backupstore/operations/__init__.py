"""The verbs, one page each: read through the ports, ask the pure core, write."""
