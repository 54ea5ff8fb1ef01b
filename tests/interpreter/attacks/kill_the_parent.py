# property: the warm parent cannot be killed
# expect: seen.error_type == "PermissionError"
# off: syscalls
# works: seen.killed_by is not None
import os
import time

os.kill(os.getppid(), 9)
time.sleep(0.1)
