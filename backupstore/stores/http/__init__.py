"""What stores over HTTP/1.1 share: connections on our own sockets, requests, retries; no store of its own.

client       one request and its answer; documents; the one layer of retries around them
listing      pages of keys, batches of deletions
whole        small objects, taken whole into memory
faults       what can go wrong everywhere, in the words of ``backupstore.errors``
connection   one socket: a request, the head of its answer, the body in pieces
head         the grammar of an answer's head, and where its body ends
pool         connections: how to make one, and those that wait to be used again
address      where a store is
proxies      which proxy the environment names
retry        what is tried again, how often and when
memory       how many bytes of all transfers together may wait in memory
times        the time in a header, and the store's clock
configured   from the settings to a way to connect
"""
