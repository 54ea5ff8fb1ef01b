# property: a block that takes every descriptor leaves none of its own and all of the others'
# expect: seen.error_type == "OSError" and seen.killed_by is None
# off: limits
# works: seen.stdout == "REACHED\n"
import os

kept = [os.dup(0) for _ in range(300)]
print("REACHED")
