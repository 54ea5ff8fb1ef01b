# property: no other process can be moved to a processor
# expect: seen.error_type == "PermissionError"
# off: syscalls, privileges
# works: seen.stdout == "REACHED\n"
import os

os.sched_setaffinity({PID}, {0})
print("REACHED")
