# property: a thread that waits for itself is ended
# expect: seen.killed_by == "time"
# off: process
# works: seen.hung
# limits: wall_seconds=0.4
import threading

lock = threading.Lock()
lock.acquire()
lock.acquire()
