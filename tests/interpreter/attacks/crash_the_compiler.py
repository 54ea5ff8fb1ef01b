# property: a source too deep for the compiler ends its own process only
# expect: seen.killed_by == "signal 11" or seen.error_type in ("MemoryError", "RecursionError")
# off: process
# works: seen.died or __import__('sys').version_info >= (3, 12)
import sys

sys.setrecursionlimit(10**9)
compile("1" + "+1" * 200_000, "deep", "eval")
