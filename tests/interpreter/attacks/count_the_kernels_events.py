# property: no counter of the kernel can be opened
# expect: seen.stdout == "-1\n"
# off: syscalls, privileges
# works: seen.stdout != "-1\n"
import ctypes
import os
import struct

number = {"x86_64": 298, "aarch64": 241}[os.uname().machine]  # perf_event_open, of software events
attributes = ctypes.create_string_buffer(struct.pack("2I", 1, 112).ljust(112, b"\0"))
print(ctypes.CDLL(None).syscall(number, attributes, 0, -1, -1, 0))
