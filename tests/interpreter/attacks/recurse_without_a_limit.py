# property: a recursion that no limit ends ends its own process only
# expect: seen.killed_by == "signal 11" or seen.error_type == "RecursionError"
# off: process
# works: seen.died or __import__('sys').version_info >= (3, 12)
import sys


class Deeper:
    def __getattr__(self, name):
        return getattr(self, name)


sys.setrecursionlimit(10**9)
print(Deeper().depth)
