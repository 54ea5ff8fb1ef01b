# property: what a thread says to the host at any time ends a step of its own episode only
# expect: seen.killed_by in (None, "protocol")
# off: protocol
# works: seen.died
# after: own
import os
import threading


def later():
    while True:
        os.write(3, b"\0\0\0\x02[]")


threading.Thread(target=later, daemon=True).start()
