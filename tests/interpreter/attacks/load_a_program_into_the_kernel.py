# property: no map or program of the kernel can be made
# expect: seen.stdout == "-1\n"
# off: syscalls, privileges
# works: seen.stdout != "-1\n"
import ctypes
import os
import struct

number = {"x86_64": 321, "aarch64": 280}[os.uname().machine]  # bpf, asked for an array
attributes = struct.pack("5I", 2, 4, 4, 1, 0) + bytes(100)
print(ctypes.CDLL(None).syscall(number, 0, attributes, len(attributes)))
