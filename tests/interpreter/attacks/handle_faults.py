# property: no page faults of the kernel can be handled
# expect: seen.stdout == "-1\n"
# off: syscalls
# works: seen.stdout != "-1\n"
import ctypes
import os

number = {"x86_64": 323, "aarch64": 282}[os.uname().machine]  # userfaultfd, of user faults only
print(ctypes.CDLL(None).syscall(number, 1))
