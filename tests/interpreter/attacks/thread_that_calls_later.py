# property: what a thread calls after its step counts in the step it falls into
# expect: seen.killed_by in (None, "tool calls")
# off: process
# works: len(seen.taking) > 4 or seen.hung
# after: own
import threading
import time


def later():
    while True:
        try:
            take_item("Ba")
        except Exception:
            pass


threading.Thread(target=later, daemon=True).start()
time.sleep(0.01)
