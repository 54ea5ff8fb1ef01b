# property: the callback of a weak reference is ended, whenever its object goes
# expect: seen.killed_by == (None if mode in ("persistent", "functions", "ttl:2") else "time")
# off: process
# works: seen.hung
# limits: wall_seconds=0.4
import sys
import weakref


def forever(reference):
    while True:
        pass


def watched():
    pass


sys.reference = weakref.ref(watched, forever)
