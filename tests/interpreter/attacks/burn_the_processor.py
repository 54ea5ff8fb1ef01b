# property: processor time is bounded apart from the time on the clock, all threads together
# expect: seen.killed_by == "cpu" and seen.stdout == ""
# off: cpu_seconds
# works: seen.stdout == "REACHED\n"
# limits: wall_seconds=9.0
import hashlib
import threading
import time

threading.stack_size(1 << 16)
end = time.monotonic() + 1.2  # however many processors share the work


def burn():
    while time.process_time() < 1.3 or time.monotonic() < end:
        hashlib.sha256(bytes(1 << 16)).digest()  # outside the interpreter's lock


threads = [threading.Thread(target=burn) for _ in range(4)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print("REACHED")
