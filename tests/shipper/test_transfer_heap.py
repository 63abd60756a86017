"""Threads that take turns at holding much memory need no more than the one that holds most."""

from __future__ import annotations

import subprocess
import sys

_HELD = 32  # MiB, by one thread at a time
_THREADS = 8
_TAKE_TURNS = f"""
import resource, sys, threading
from shipper.transfer.heap import share_heap
share_heap()
turn, kept = [threading.Semaphore(0) for _ in range({_THREADS})], [[] for _ in range({_THREADS})]
over = threading.Barrier({_THREADS} + 1)
def hold(number):
    turn[number].acquire()
    pieces = [b"x" * (256 << 10) for _ in range({_HELD} * 4)]
    kept[number] = pieces[:: len(pieces) - 1]  # what lies at both ends of it stays alive
    del pieces
    if number + 1 < {_THREADS}:
        turn[number + 1].release()
    over.wait()
threads = [threading.Thread(target=hold, args=(number,)) for number in range({_THREADS})]
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for thread in threads:
    thread.start()
turn[0].release()
over.wait()
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10)
"""


def test_memory_is_that_of_what_is_alive() -> None:
    done = subprocess.run([sys.executable, "-c", _TAKE_TURNS], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 3 * _HELD
