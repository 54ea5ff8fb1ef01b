# property: a block cannot copy its process
# expect: seen.error_type == "PermissionError"
# off: syscalls
# works: "REACHED" in seen.stdout
import os
import time

if os.fork() == 0:
    print("REACHED", flush=True)
    os._exit(0)
time.sleep(0.2)
