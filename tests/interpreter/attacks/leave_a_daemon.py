# property: no process can be left behind in a session of its own
# expect: seen.error_type == "PermissionError"
# off: syscalls
# works: seen.stdout.count("REACHED") == 1
import os
import time

if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        print("REACHED", flush=True)
        time.sleep(0.5)
    os._exit(0)
os.wait()
time.sleep(0.2)
