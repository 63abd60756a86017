"""What stores over HTTP/1.1 share: connections on our own sockets, requests, retries; no store of its own.

connection   one socket: a request, the head of its answer, the body in pieces
head         the grammar of an answer's head, and where its body ends
pool         connections: how to make one, and those that wait to be used again
proxies      which proxy the environment names
retry        the one layer of retries
memory       how many bytes of all transfers together may wait in memory
"""
