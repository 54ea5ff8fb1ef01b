# property: no signal can be sent to a group of processes
# expect: seen.error_type == "PermissionError"
# off: syscalls
# works: place.killed
import os

os.killpg({PID}, 9)
