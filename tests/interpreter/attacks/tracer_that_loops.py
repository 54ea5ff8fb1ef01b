# property: a tracer that never returns is ended
# expect: seen.killed_by == "time"
# off: process
# works: seen.hung
# limits: wall_seconds=0.4
import sys


def trace(frame, event, argument):
    while True:
        pass


sys.settrace(trace)
(lambda: 0)()
