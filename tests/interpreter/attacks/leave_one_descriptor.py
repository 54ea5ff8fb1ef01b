# property: a block that leaves room for one descriptor only keeps no step from running
# expect: seen.killed_by is None
# off: limits
# works: seen.stdout == "REACHED\n"
import os

kept = []
try:
    while len(kept) < 300:
        kept.append(os.dup(0))
    print("REACHED")
except OSError:
    os.close(kept.pop())
