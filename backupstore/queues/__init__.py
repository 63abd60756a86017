"""Where work items are put, and from where somebody is woken: an adapter for each queue service."""
