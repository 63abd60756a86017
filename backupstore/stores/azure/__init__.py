"""Azure Blob Storage by its REST API, on the sockets of ``stores.http``; why: ``docs/decisions/0001-object-store-port.md``.

store        the port
uploads      objects in one request, and ``blocks`` those that are larger; created only where there is none
downloads    whole objects, streamed, and taken up where a connection broke
listing      pages of keys; deletions
client       one request: signed, sent, answered, its error translated
documents    the XML that comes and goes, and what headers say of a blob
faults       answers that are errors at Azure, in the words of ``backupstore.errors``
signing      the key of a storage account, and what a request is signed with
place        where the requests for one container go
configured   from the settings to a store
examination  what only ``doctor`` asks of a container
"""
