"""Where work items are put: an adapter for each queue service."""
