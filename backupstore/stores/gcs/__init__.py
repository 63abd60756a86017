"""Google Cloud Storage by its JSON API, on the sockets of ``stores.http``; why: ``docs/decisions/0001-object-store-port.md``.

store        the port
uploads      objects in one request, and ``resumable`` those that are larger; created only where there is none
downloads    whole objects, streamed, and taken up where a connection broke
listing      pages of keys, batches of deletions
client       one request: sent with its token, answered, its error translated
resources    the JSON that comes, and checksums in Google's form
faults       answers that are errors at Google, in the words of ``backupstore.errors``
tokens       whose access tokens go with the requests: google-auth finds and renews them
configured   from the settings to a store
examination  what only ``doctor`` asks of a bucket
"""
