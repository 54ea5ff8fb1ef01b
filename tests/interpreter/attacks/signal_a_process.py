# property: no signal can be sent to another process
# expect: seen.error_type == "PermissionError"
# off: syscalls
# works: place.killed
import os

os.kill({PID}, 9)
