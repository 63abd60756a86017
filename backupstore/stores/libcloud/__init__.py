"""Any other provider that apache-libcloud knows, by the calls that all of its drivers have.

store        the port, without conditional writes: it looks first, and says so (``keeps_conditions``)
drivers      libcloud's drivers, one for each call at a time, with time limits and authorities of ours
downloads    objects, whole or by ranges
transfers    bytes on their way: a source as drivers read it, digests that providers tell
objects      an object as a driver shows it, in the words of ``backupstore.ports``
faults       what drivers raise, in the words of ``backupstore.errors``
configured   from the settings to a store
"""
