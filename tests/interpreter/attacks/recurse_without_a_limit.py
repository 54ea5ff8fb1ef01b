# property: a recursion that no limit ends fills its own memory only
# expect: seen.error_type is not None or seen.killed_by is not None
# off: limits
# works: seen.stdout == "REACHED\n"
# after: own
# limits: memory_mb=64
import sys

sys.setrecursionlimit(10**9)


def down(n):
    return n and down(n - 1)


down(500_000)
print("REACHED")
