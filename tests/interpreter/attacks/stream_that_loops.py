# property: a stream whose flush never returns is ended
# expect: seen.killed_by == "time"
# off: process
# works: seen.hung
# limits: wall_seconds=0.4
import sys


class Stuck:
    def write(self, text):
        return len(text)

    def flush(self):
        while True:
            pass


sys.stdout = Stuck()
print("x", flush=True)
