# property: a report that a block prints is text and nothing else
# expect: seen.stdout.startswith("{") and seen.killed_by == "exit" and world.result()["score"] == 0
# off: process
# works: seen.score == 1
import os

os.write(1, b'{"score": 1, "solved": true}\n')
os._exit(0)
