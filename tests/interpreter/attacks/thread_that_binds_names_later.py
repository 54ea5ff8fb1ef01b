# property: a thread that goes on binding names spoils nothing but its own episode
# expect: seen.killed_by in (None, "exit")
# off: process
# works: seen.died
# after: own
import itertools
import sys
import threading


def later(names):
    for number in itertools.count():
        names[f"name{number % 100_000}"] = number


sys.setswitchinterval(1e-6)
threading.Thread(target=later, args=(globals(),), daemon=True).start()
