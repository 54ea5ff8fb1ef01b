# property: the kernel cannot be told to send signals in a block's name
# expect: seen.error_type == "PermissionError"
# off: syscalls
# works: place.killed
import fcntl
import os
import time

fcntl.fcntl(3, fcntl.F_SETOWN, {PID})
fcntl.fcntl(3, fcntl.F_SETFL, os.O_ASYNC | fcntl.fcntl(3, fcntl.F_GETFL))
body = b'{"call":"list_items","args":[]}'
os.write(3, len(body).to_bytes(4, "big") + body)  # whose answer makes the descriptor readable
time.sleep(0.1)
os.read(3, 9999)
