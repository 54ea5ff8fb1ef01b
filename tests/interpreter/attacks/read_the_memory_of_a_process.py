# property: no memory of another process can be read by system call
# expect: seen.error_type == "PermissionError" or seen.stdout == "-1\n"
# off: syscalls, files, privileges
# works: seen.stdout == "4\n"
import ctypes
import os

start = int(open("/proc/{PID}/maps").read().partition("-")[0], 16)
here = ctypes.create_string_buffer(4)
local = (ctypes.c_size_t * 2)(ctypes.addressof(here), 4)
remote = (ctypes.c_size_t * 2)(start, 4)
print(ctypes.CDLL(None).process_vm_readv({PID}, local, 1, remote, 1, 0))
