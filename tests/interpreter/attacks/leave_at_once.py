# property: a block that leaves its process at once is an observation
# expect: seen.killed_by == "exit" and seen.stdout == "so far\n"
# off: process
# works: seen.died
import os

print("so far", flush=True)
os._exit(0)
