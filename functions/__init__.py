"""Functions in a cloud: one folder each, with a handler per cloud, its requirements, and what it needs and does in words.

Handlers translate: a cloud's message becomes a call of an operation of ``backupstore``, its result the cloud's answer.
"""
