# property: a recursion limit as low as it goes spoils nothing but its own interpreter
# expect: seen.killed_by in (None, "exit")
# off: process
# works: seen.died
# after: own
import sys

for limit in range(1, 100):
    try:
        sys.setrecursionlimit(limit)
        break
    except RecursionError:
        pass
