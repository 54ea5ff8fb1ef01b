# property: a process that a hook makes in a copy's place says nothing that is believed
# expect: seen.killed_by is None
# off: protocol
# works: seen.died
# after: own
# limits: wall_seconds=0.4
import ctypes
import os
import time

libc = ctypes.CDLL(None)


def copy():
    if libc.fork() == 0:
        os.write(3, b"\0\0\0\x02[]")
        time.sleep(60)


os.register_at_fork(before=copy)
