# property: a thread cannot copy the process either
# expect: seen.stdout.endswith("PermissionError\n") and "REACHED" not in seen.stdout
# off: syscalls
# works: "REACHED" in seen.stdout
import os
import threading
import time


def copy():
    try:
        if os.fork() == 0:
            print("REACHED", flush=True)
            os._exit(0)
    except OSError as error:
        print(type(error).__name__)


thread = threading.Thread(target=copy)
thread.start()
thread.join()
time.sleep(0.1)
