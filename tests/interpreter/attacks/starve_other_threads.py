# property: a thread that never gives way is ended with its block
# expect: seen.killed_by == "time"
# off: process
# works: seen.hung
# limits: wall_seconds=0.4
import sys
import threading


def spin():
    while True:
        pass


sys.setswitchinterval(1e6)
threading.Thread(target=spin, daemon=True).start()
print("never comes")
