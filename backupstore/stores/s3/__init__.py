"""S3 and what speaks like it, on an engine of its own: why, and what it costs, is in ``docs/decisions/0004-s3-engine.md``.

store        the port
uploads      objects in one piece and in parts, created only where there is none
downloads    large objects by several ranges at once
listing      pages of ListObjectsV2, batches of DeleteObjects, stale multipart uploads
client       one request: signed, sent, answered, its error translated
documents    the XML that goes both ways
faults       answers that are errors at S3, in the words of ``backupstore.errors``
configured   from the settings to a store
examination  what only ``doctor`` asks of a bucket
signing, credentials, integrity, endpoint    each one secret

What it shares with other stores over HTTP, the sockets above all, is in ``stores.http``.
"""
