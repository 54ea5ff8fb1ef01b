# property: a block that goes on trying gets no process at all
# expect: seen.stdout == "0\n"
# off: syscalls
# works: seen.stdout == "50\n"
import os
import time

made = 0
for _ in range(50):
    try:
        if os.fork() == 0:
            time.sleep(0.5)
            os._exit(0)
        made += 1
    except OSError:
        pass
print(made)
