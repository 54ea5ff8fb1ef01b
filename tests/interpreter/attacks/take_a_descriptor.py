# property: no descriptor of another process can be taken
# expect: seen.error_type == "PermissionError"
# off: syscalls, files, privileges
# works: seen.stdout != "" and seen.stdout != "-1\n"
import ctypes
import os

print(ctypes.CDLL(None).syscall(438, os.pidfd_open({PID}), 0, 0))  # pidfd_getfd
