# property: a report that a block prints is text and nothing else
# expect: seen.stdout.startswith("{") and seen.killed_by == "exit" and world.outcome()["optimality"] == 0
# off: process
# works: seen.optimality == 1
import os

os.write(1, b'{"optimality": 1, "solved": true}\n')
os._exit(0)
