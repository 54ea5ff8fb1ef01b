# property: no key can be left with the kernel
# expect: seen.stdout == "-1\n"
# off: syscalls
# works: seen.stdout != "-1\n"
import ctypes
import os

number = {"x86_64": 248, "aarch64": 217}[os.uname().machine]  # add_key
print(ctypes.CDLL(None).syscall(number, b"user", b"note", b"x", ctypes.c_size_t(1), -2))
