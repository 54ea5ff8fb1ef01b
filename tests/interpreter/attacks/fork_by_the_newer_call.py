# property: the newer call that copies a process is refused too
# expect: seen.stdout == "-1\n"
# off: syscalls
# works: seen.stdout != "-1\n"
import ctypes
import os
import struct

libc, me = ctypes.CDLL(None), os.getpid()
arguments = ctypes.create_string_buffer(struct.pack("11Q", *[0] * 4, 17, *[0] * 6))
pid = libc.syscall(435, arguments, ctypes.c_size_t(64))  # clone3 with SIGCHLD at the end
if os.getpid() != me:
    os._exit(0)
print(pid)
