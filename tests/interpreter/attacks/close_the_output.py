# property: who closes the descriptor of its output is seen to print nothing
# expect: seen.killed_by is None and seen.stdout == "before\n"
# off: process
# works: seen.died
# after: own
import os

print("before", flush=True)
os.close(1)
