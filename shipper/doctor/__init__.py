"""``doctor``: looks at everything a backup or a restore will need, before it is needed, and says what to do about it.

findings    what a check can say; running them, each for a limited time, so that none stops the others
settings    what the file says, and what of it is not safe
bucket      the store: there, honest about conditions, permissions, clock
rules       rules of an S3 bucket that would harm backups, and what dead uploads left
mounted     a local bucket: how it is mounted, and whether there is room
index       whether somebody keeps the catalog, and hears of new backups
stock       whether stock Medusa still writes here, and deletes
names       how this node is called, and whether another one is called alike
node        Cassandra: configuration, nodetool, CQL, disks, commands, our own state

Each module reads facts and judges them in pure functions (``judge_…``). Nothing is written but by ``bucket`` and
``index``, which say so: probes of doctor's own, at keys where nobody else looks.
"""
