# property: no other process can be given a lower priority
# expect: seen.error_type == "PermissionError"
# off: syscalls, privileges
# works: seen.stdout == "REACHED\n"
import os

os.setpriority(os.PRIO_PROCESS, {PID}, 5)
print("REACHED")
