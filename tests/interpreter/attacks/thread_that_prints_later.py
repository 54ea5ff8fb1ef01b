# property: what a thread prints after its step is not lost on others
# expect: seen.killed_by is None
# off: process
# works: after.stdout != "42\n"
# after: own
import sys
import threading


def later():
    while True:
        print("later")


sys.setswitchinterval(1e-6)
threading.Thread(target=later, daemon=True).start()
